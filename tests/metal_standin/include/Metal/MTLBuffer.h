// Buffers.
#pragma once
#import <Metal/MTLResource.h>

NS_ASSUME_NONNULL_BEGIN

@protocol MTLBuffer <MTLResource>
@property(readonly) NSUInteger length;
// NULL for private storage.
- (void*)contents NS_RETURNS_INNER_POINTER;
// Managed storage only.
- (void)didModifyRange:(NSRange)range API_AVAILABLE(macos(10.11));
@property(readonly) uint64_t gpuAddress API_AVAILABLE(macos(13.0), ios(16.0));
@end

NS_ASSUME_NONNULL_END
