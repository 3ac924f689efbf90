// Binary archives: a list of the pipelines they hold, bound to the device and the macOS.
#import "objects.h"

using namespace metal_standin;

NSErrorDomain const MTLBinaryArchiveDomain = @"MTLBinaryArchiveDomain";

static NSString* const kMagic = @"metal-standin-archive 1";

// Of the device and the macOS that are played: pipelines of another are not found.
static NSString* target() {
  const Settings now = settings();
  return [NSString stringWithFormat:@"%s apple%d macOS %d.%d", now.device_name.c_str(),
                                    now.apple_family, now.macos_major, now.macos_minor];
}

@implementation MTLBinaryArchiveDescriptor
METAL_STANDIN_COUNTED
@synthesize url = _url;
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_url release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLBinaryArchiveDescriptor* copy = [[MTLBinaryArchiveDescriptor allocWithZone:zone] init];
  copy.url = _url;
  return copy;
}
@end

@implementation StandinBinaryArchive
@synthesize label = _label;

- (id)initWithDevice:(StandinDevice*)device url:(NSURL*)url error:(NSError**)error {
  if (!(self = [super init]))
    return nil;
  _device = [device retain];
  _keys = [[NSMutableSet alloc] init];
  if (!url)
    return self;
  NSData* data = [NSData dataWithContentsOfFile:[url path]];
  NSString* text =
      data ? [[[NSString alloc] initWithData:data encoding:NSUTF8StringEncoding] autorelease] : nil;
  NSArray* lines = [text componentsSeparatedByString:@"\n"];
  // The last line says how many there were: a file that was cut off is not an archive.
  const NSUInteger count = [lines count];
  if (count < 3 || ![[lines objectAtIndex:0] isEqualToString:kMagic] ||
      ![[lines objectAtIndex:count - 1]
          isEqualToString:[NSString stringWithFormat:@"end %lu", (unsigned long)(count - 3)]]) {
    set_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInvalidFile,
              [NSString stringWithFormat:@"%@ is not a binary archive", [url path]]);
    [self release];
    return nil;
  }
  if ([[lines objectAtIndex:1] isEqualToString:target()])
    for (NSUInteger i = 2; i + 1 < count; ++i)
      [_keys addObject:[lines objectAtIndex:i]];
  return self;
}
- (void)dealloc {
  [_keys release];
  [_label release];
  [_device release];
  [super dealloc];
}
- (id<MTLDevice>)device {
  return _device;
}

static NSString* entry(const std::string& key) {
  return
      [NSString stringWithFormat:@"pipeline %016zx %zu", std::hash<std::string>()(key), key.size()];
}

- (BOOL)containsPipeline:(const std::string&)key {
  @synchronized(self) {
    return [_keys containsObject:entry(key)];
  }
}

- (BOOL)addComputePipelineFunctionsWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                            error:(NSError**)error {
  if (![descriptor.computeFunction isKindOfClass:[StandinFunction class]])
    stop("compute-function", @"computeFunction must not be nil");
  auto* function = static_cast<StandinFunction*>(descriptor.computeFunction);
  std::shared_ptr<metalwright::Kernel> kernel = [function kernel];
  if (!kernel) {
    MadeKernel made =
        make_kernel([[function library] library], utf8(function.name), [function constants]);
    if (!made.kernel) {
      set_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorCompilationFailure,
                ns(made.message));
      return NO;
    }
  }
  @synchronized(self) {
    [_keys addObject:entry([function key])];
  }
  return YES;
}

- (BOOL)serializeToURL:(NSURL*)url error:(NSError**)error {
  NSMutableArray* lines = [NSMutableArray arrayWithObjects:kMagic, target(), nil];
  @synchronized(self) {
    [lines addObjectsFromArray:[[_keys allObjects] sortedArrayUsingSelector:@selector(compare:)]];
  }
  [lines addObject:[NSString stringWithFormat:@"end %lu", (unsigned long)([lines count] - 2)]];
  NSData* data = [[lines componentsJoinedByString:@"\n"] dataUsingEncoding:NSUTF8StringEncoding];
  if (take_fault("archive-serialise") || ![data writeToFile:[url path] atomically:NO]) {
    set_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorInternalError,
              [NSString stringWithFormat:@"cannot write %@", [url path]]);
    return NO;
  }
  return YES;
}
@end
