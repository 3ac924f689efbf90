// Devices: discovery, facts, and the making of everything else.
#import "objects.h"

#import "command_queue.h"
#import "compile_options.h"

#include <Block.h>
#include <cstring>
#include <unistd.h>

using namespace metal_standin;

static constexpr NSUInteger kThreadgroupMemory = 32768;
static NSString* const kBackEndDomain = @"AGXMetalG14X"; // what a back end's errors carry

id<MTLDevice> MTLCreateSystemDefaultDevice(void) {
  const Settings now = settings();
  if (!now.has_default_device || now.device_count == 0)
    return nil;
  return [[StandinDevice deviceNumber:0] retain];
}

NSArray<id<MTLDevice>>* MTLCopyAllDevices(void) {
  NSMutableArray* devices = [NSMutableArray array];
  for (unsigned i = 0; i < settings().device_count && i < 2; ++i)
    [devices addObject:[StandinDevice deviceNumber:i]];
  return [devices copy];
}

@interface MTLArchitecture (Standin)
- (id)initWithName:(NSString*)name;
@end

@implementation MTLArchitecture
@synthesize name = _name;
- (id)initWithName:(NSString*)name {
  if ((self = [super init]))
    _name = [name copy];
  return self;
}
- (void)dealloc {
  [_name release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  return [self retain];
}
@end

@implementation StandinDevice

// The same object every time, for ever, as on Apple.
+ (StandinDevice*)deviceNumber:(unsigned)number {
  static StandinDevice* const devices[] = {[[StandinDevice alloc] initWithNumber:0],
                                           [[StandinDevice alloc] initWithNumber:1]};
  return devices[number];
}
- (id)initWithNumber:(unsigned)number {
  if ((self = [super init])) {
    _number = number;
    _architecture = [[MTLArchitecture alloc] initWithName:@"applegpu_standin"];
  }
  return self;
}

// ------------------------------------------------------------------ facts

- (NSString*)name {
  NSString* name = ns(settings().device_name);
  return _number == 0 ? name : [name stringByAppendingString:@" (second)"];
}
- (uint64_t)registryID {
  return 0x100000a00ull + _number;
}
- (MTLArchitecture*)architecture {
  return _architecture;
}
- (MTLSize)maxThreadsPerThreadgroup {
  return MTLSizeMake(1024, 1024, 1024);
}
- (BOOL)isLowPower {
  return NO;
}
- (BOOL)isHeadless {
  return NO;
}
- (BOOL)isRemovable {
  return NO;
}
- (BOOL)hasUnifiedMemory {
  return settings().unified_memory;
}
- (uint64_t)recommendedMaxWorkingSetSize {
  return settings().max_buffer_length / 4 * 3;
}
- (MTLDeviceLocation)location {
  return MTLDeviceLocationBuiltIn;
}
- (NSUInteger)locationNumber {
  return 0;
}
- (uint64_t)maxTransferRate {
  return 0;
}
- (MTLArgumentBuffersTier)argumentBuffersSupport {
  return MTLArgumentBuffersTier2;
}
- (NSUInteger)currentAllocatedSize {
  return allocated_bytes();
}
- (NSUInteger)maxBufferLength {
  return settings().max_buffer_length;
}
- (NSUInteger)maxThreadgroupMemoryLength {
  return kThreadgroupMemory;
}
- (BOOL)supportsFamily:(MTLGPUFamily)family {
  const int apple = settings().apple_family;
  if (family >= MTLGPUFamilyApple1 && family <= MTLGPUFamilyApple10)
    return family - 1000 <= apple;
  switch (family) {
  case MTLGPUFamilyCommon1:
  case MTLGPUFamilyCommon2:
    return YES;
  case MTLGPUFamilyCommon3:
  case MTLGPUFamilyMac2:
  case MTLGPUFamilyMetal3:
    return apple >= 7;
  case MTLGPUFamilyMetal4:
    return apple >= 7 && macos_at_least(26);
  default:
    return NO;
  }
}

// ------------------------------------------------------------------ queues and buffers

- (id<MTLCommandQueue>)newCommandQueue {
  return [self newCommandQueueWithMaxCommandBufferCount:64];
}
- (id<MTLCommandQueue>)newCommandQueueWithMaxCommandBufferCount:(NSUInteger)count {
  if (count == 0)
    stop("command-buffer-count", @"maxCommandBufferCount must not be 0");
  if (take_fault("command-queue"))
    return nil;
  return [[StandinCommandQueue alloc] initWithDevice:self maximum:count];
}

- (void)checkLength:(NSUInteger)length options:(MTLResourceOptions)options {
  if (length == 0)
    stop("buffer-length", @"length 0x0 must not be 0.");
  if (length > [self maxBufferLength])
    stop("buffer-length", @"length(%lu) must not exceed %lu.", (unsigned long)length,
         (unsigned long)[self maxBufferLength]);
  if ((options >> MTLResourceStorageModeShift & 15) == MTLStorageModeMemoryless)
    stop("storage-mode", @"buffers cannot be memoryless");
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
  [self checkLength:length options:options];
  auto memory = take_fault("allocation") ? nullptr : allocate_memory(length);
  if (!memory)
    return nil;
  return [[StandinBuffer alloc] initWithDevice:self
                                        memory:std::move(memory)
                                       options:options
                                   deallocator:nil];
}

- (id<MTLBuffer>)newBufferWithBytes:(const void*)pointer
                             length:(NSUInteger)length
                            options:(MTLResourceOptions)options {
  if (!pointer)
    stop("buffer-pointer", @"pointer must not be nil.");
  if ((options >> MTLResourceStorageModeShift & 15) == MTLStorageModePrivate)
    stop("storage-mode", @"a private buffer cannot be made from bytes");
  [self checkLength:length options:options];
  auto memory = take_fault("allocation") ? nullptr : allocate_memory(length);
  if (!memory)
    return nil;
  std::memcpy(memory->data, pointer, length);
  metal_standin::count("copies");
  return [[StandinBuffer alloc] initWithDevice:self
                                        memory:std::move(memory)
                                       options:options
                                   deallocator:nil];
}

- (id<MTLBuffer>)newBufferWithBytesNoCopy:(void*)pointer
                                   length:(NSUInteger)length
                                  options:(MTLResourceOptions)options
                              deallocator:(void (^)(void*, NSUInteger))deallocator {
  const auto page = NSUInteger(sysconf(_SC_PAGESIZE));
  if (!pointer || reinterpret_cast<NSUInteger>(pointer) % page != 0)
    stop("not-page-aligned", @"pointer %p is not %lu byte aligned.", pointer, (unsigned long)page);
  if (length % page != 0)
    stop("not-page-aligned", @"length %lu is not %lu byte aligned.", (unsigned long)length,
         (unsigned long)page);
  if ((options >> MTLResourceStorageModeShift & 15) == MTLStorageModePrivate)
    stop("storage-mode", @"a private buffer cannot be made from bytes");
  [self checkLength:length options:options];
  if (take_fault("allocation"))
    return nil;
  metal_standin::count("no-copy-buffers");
  auto memory = std::make_shared<BufferMemory>();
  memory->data = pointer;
  memory->length = length;
  memory->owned = false;
  return [[StandinBuffer alloc] initWithDevice:self
                                        memory:std::move(memory)
                                       options:options
                                   deallocator:deallocator];
}

// ------------------------------------------------------------------ compiling

- (id<MTLLibrary>)newLibraryWithSource:(NSString*)source
                               options:(MTLCompileOptions*)options
                                 error:(NSError**)error {
  if (!source)
    stop("library-source", @"source must not be nil.");
  metal_standin::count("compiles");
  if (!options)
    options = [[[MTLCompileOptions alloc] init] autorelease];
  if (options.languageVersion > newest_language_version()) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorUnsupported,
              [NSString stringWithFormat:@"language version %lu.%lu is not supported by this "
                                         @"version of macOS",
                                         (unsigned long)(options.languageVersion >> 16),
                                         (unsigned long)(options.languageVersion & 0xffff)]);
    return nil;
  }
  if (take_fault("library-compile")) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorInternal,
              @"Compiler encountered an internal error");
    return nil;
  }
  const metalwright::CompileOptions backend_options = [options forBackend];
  CompiledSource compiled = compile(utf8(source), backend_options);
  if (!compiled.library) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, ns(compiled.messages));
    return nil;
  }
  if (!compiled.messages.empty())
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileWarning,
              ns("Compilation succeeded with: \n\n" + compiled.messages));
  std::string key = utf8(source) + "\n" + std::to_string(backend_options.language_version) + " " +
                    std::to_string(int(backend_options.math_mode)) + " " +
                    std::to_string(int(*backend_options.math_functions));
  for (const auto& [name, value] : backend_options.macros)
    key += " " + name + "=" + value;
  return [[StandinLibrary alloc] initWithDevice:self library:compiled.library key:key];
}

- (void)newLibraryWithSource:(NSString*)source
                     options:(MTLCompileOptions*)options
           completionHandler:(MTLNewLibraryCompletionHandler)completionHandler {
  NSError* error = nil;
  id<MTLLibrary> library = [self newLibraryWithSource:source options:options error:&error];
  completionHandler(library, error);
  [library release];
}

// ------------------------------------------------------------------ pipelines

- (id<MTLComputePipelineState>)newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                                             error:(NSError**)error {
  return [self newComputePipelineStateWithFunction:function
                                           options:MTLPipelineOptionNone
                                        reflection:NULL
                                             error:error];
}
- (id<MTLComputePipelineState>)
    newComputePipelineStateWithFunction:(id<MTLFunction>)function
                                options:(MTLPipelineOption)options
                             reflection:(MTLAutoreleasedComputePipelineReflection*)reflection
                                  error:(NSError**)error {
  MTLComputePipelineDescriptor* descriptor =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  descriptor.computeFunction = function;
  return [self newComputePipelineStateWithDescriptor:descriptor
                                             options:options
                                          reflection:reflection
                                               error:error];
}

// What Apple's back end says where the device behind refuses a kernel.
static NSString* refusal_of(const MadeKernel& made) {
  // "kernel 'k' declares 40000 bytes of threadgroup memory, ..."
  static constexpr std::string_view kBefore = "' declares ";
  const std::size_t before = made.message.find(kBefore);
  if (made.code == "too-much-threadgroup-memory" && before != std::string::npos)
    return [NSString stringWithFormat:@"Threadgroup memory size (%lu) exceeds the maximum "
                                      @"threadgroup memory allowed (%lu)",
                                      std::stoul(made.message.substr(before + kBefore.size())),
                                      (unsigned long)kThreadgroupMemory];
  return ns(made.message);
}

// What this GPU cannot run, or null.
- (NSString*)refuses:(metalwright::Kernel&)kernel {
  const int family = settings().apple_family;
  if (family < 6 && uses_bfloat(kernel))
    return @"Compiler encountered an internal error: bfloat is not supported by this GPU";
  if (family < 7 && uses_simdgroup_matrices(kernel))
    return @"Compiler encountered an internal error: simdgroup matrices are not supported by "
           @"this GPU";
  return nil;
}

- (id<MTLComputePipelineState>)
    newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor*)descriptor
                                  options:(MTLPipelineOption)options
                               reflection:(MTLAutoreleasedComputePipelineReflection*)reflection
                                    error:(NSError**)error {
  if (![(id)descriptor.computeFunction isKindOfClass:[StandinFunction class]])
    stop("compute-function", @"computeFunction must not be nil.");
  auto* function = static_cast<StandinFunction*>(descriptor.computeFunction);
  if ([function device] != self)
    stop("another-device", @"computeFunction is of another device.");
  if (![function canBeBuilt])
    stop("unspecialised-function",
         @"computeFunction %@ cannot be used to build a pipeline state. Use "
         @"newFunctionWithName:constantValues:... to get the specialized function",
         [function name]);
  metal_standin::count("pipelines");
  bool in_archive = false;
  for (id<MTLBinaryArchive> archive in descriptor.binaryArchives) {
    if ([archive device] != self)
      stop("another-device", @"a binary archive is of another device.");
    in_archive =
        in_archive || [static_cast<StandinBinaryArchive*>(archive) containsPipeline:[function key]];
  }
  if (in_archive)
    metal_standin::count("archive-hits");
  if (!in_archive && (options & MTLPipelineOptionFailOnBinaryArchiveMiss)) {
    set_error(error, MTLBinaryArchiveDomain, MTLBinaryArchiveErrorUnexpectedElement,
              @"the pipeline is in none of the binary archives");
    return nil;
  }
  MadeKernel made{[function kernel], {}, {}};
  if (!made.kernel)
    made = make_kernel([[function library] library], utf8([function name]), [function constants]);
  NSString* refusal = nil;
  if (take_fault("pipeline-compile"))
    refusal = @"Compiler encountered an internal error";
  else if (!made.kernel)
    refusal = refusal_of(made);
  else
    refusal = [self refuses:*made.kernel];
  if (refusal) {
    set_error(error, kBackEndDomain, 3, refusal);
    return nil;
  }
  if (reflection)
    *reflection = [[[MTLComputePipelineReflection alloc] initWithKernel:*made.kernel
                                                                options:options] autorelease];
  return [[StandinComputePipeline alloc] initWithDevice:self
                                                 kernel:made.kernel
                                             descriptor:descriptor];
}

- (id<MTLBinaryArchive>)newBinaryArchiveWithDescriptor:(MTLBinaryArchiveDescriptor*)descriptor
                                                 error:(NSError**)error {
  if (!descriptor)
    stop("archive-descriptor", @"descriptor must not be nil.");
  return [[StandinBinaryArchive alloc] initWithDevice:self url:descriptor.url error:error];
}

// ------------------------------------------------------------------ counters

- (NSArray*)counterSets {
  return settings().counter_sets ? standin_counter_sets() : nil;
}
- (BOOL)supportsCounterSampling:(MTLCounterSamplingPoint)point {
  return settings().counter_sets && point == MTLCounterSamplingPointAtStageBoundary;
}
- (id<MTLCounterSampleBuffer>)newCounterSampleBufferWithDescriptor:
                                  (MTLCounterSampleBufferDescriptor*)descriptor
                                                             error:(NSError**)error {
  if (!descriptor.counterSet || descriptor.sampleCount == 0 ||
      descriptor.sampleCount > 32768 / sizeof(std::uint64_t)) {
    set_error(error, MTLCounterErrorDomain, MTLCounterSampleBufferErrorInvalid,
              @"the counter sample buffer needs a counter set and 1 to 4096 samples");
    return nil;
  }
  return [[StandinCounterSampleBuffer alloc] initWithDevice:self descriptor:descriptor];
}
- (void)sampleTimestamps:(MTLTimestamp*)cpuTimestamp gpuTimestamp:(MTLTimestamp*)gpuTimestamp {
  *cpuTimestamp = *gpuTimestamp = now_nanoseconds();
}
@end
