// The command buffer that torch hands out: a wrapper whose root changes with every commit.
#pragma once
#import <Metal/Metal.h>

NS_ASSUME_NONNULL_BEGIN

@interface MPSCommandBuffer : NSObject <MTLCommandBuffer> {
  id<MTLCommandBuffer> _root;
}
+ (instancetype)commandBufferFromCommandQueue:(id<MTLCommandQueue>)commandQueue;
@property(readonly, nonatomic, retain) id<MTLCommandBuffer> rootCommandBuffer;
// Commits the root; what is encoded from then on goes to a new one of the same queue.
- (void)commitAndContinue;
@end

NS_ASSUME_NONNULL_END
