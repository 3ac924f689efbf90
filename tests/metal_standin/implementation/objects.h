// What the stand-in's Objective-C files share: counted objects, misuse, errors, strings.
#pragma once

#import <Metal/Metal.h>

#include <objc/runtime.h>

#include "backend.h"
#include "controls.h"

#include <map>
#include <memory>
#include <string>

namespace metal_standin {

NSString* ns(const std::string& text);
std::string utf8(NSString* text);

// Misuse that Metal's debug layer stops the program for: recorded, and raised as an NSException.
[[noreturn]] void stop(const char* code, NSString* format, ...) NS_FORMAT_FUNCTION(2, 3);
// Recorded only: where nothing can be raised (dealloc, GPU threads).
void note(const char* code, NSString* format, ...) NS_FORMAT_FUNCTION(2, 3);

void set_error(NSError** error, NSString* domain, NSInteger code, NSString* description);

bool macos_at_least(int major, int minor = 0);

// Seconds of the host's monotonic clock, in the 24 MHz steps of Apple's.
double now_seconds();
std::uint64_t now_nanoseconds();

// "float4" -> MTLDataTypeFloat4; MTLDataTypeStruct for what is not a scalar, a vector or a matrix.
MTLDataType data_type(const std::string& type_name);
// Bytes of a scalar or vector type in a function constant; 0 for other types.
NSUInteger constant_size(MTLDataType type);
metalwright::ConstantValue constant_value(MTLDataType type, const void* bytes);

} // namespace metal_standin

// Counts its subclasses' objects.
@interface StandinObject : NSObject
@end

// The same for classes whose superclass the public headers give. No autoreleased string: objects
// come and go where there is no pool.
#define METAL_STANDIN_COUNTED                                                                      \
  +(id)allocWithZone : (NSZone*)zone {                                                             \
    metal_standin::count_object(class_getName(self), 1);                                           \
    return [super allocWithZone:zone];                                                             \
  }
#define METAL_STANDIN_UNCOUNT metal_standin::count_object(object_getClassName(self), -1)

// ------------------------------------------------------------------ the protocols' classes

@interface StandinDevice : StandinObject <MTLDevice> {
  unsigned _number;
  MTLArchitecture* _architecture;
}
+ (StandinDevice*)deviceNumber:(unsigned)number;
@end

@interface StandinBuffer : StandinObject <MTLBuffer> {
  StandinDevice* _device;
  NSString* _label;
  MTLResourceOptions _options;
  std::shared_ptr<metal_standin::BufferMemory>* _memory;
  void (^_deallocator)(void*, NSUInteger);
}
- (id)initWithDevice:(StandinDevice*)device
              memory:(std::shared_ptr<metal_standin::BufferMemory>)memory
             options:(MTLResourceOptions)options
         deallocator:(void (^)(void*, NSUInteger))deallocator;
- (const std::shared_ptr<metal_standin::BufferMemory>&)memory;
@end

@interface StandinLibrary : StandinObject <MTLLibrary> {
  StandinDevice* _device;
  NSString* _label;
  std::shared_ptr<metalwright::Library>* _library;
  std::string* _key;
}
- (id)initWithDevice:(StandinDevice*)device
             library:(std::shared_ptr<metalwright::Library>)library
                 key:(const std::string&)key;
- (metalwright::Library&)library;
- (const std::string&)key;
@end

@interface StandinFunction : StandinObject <MTLFunction> {
  StandinLibrary* _library;
  NSString* _label;
  NSString* _name;
  metalwright::ConstantValues* _constants;
  BOOL _specialised;
  std::shared_ptr<metalwright::Kernel>* _kernel;
}
// With `constants` null: as newFunctionWithName: gives it.
- (id)initWithLibrary:(StandinLibrary*)library
                 name:(NSString*)name
            constants:(const metalwright::ConstantValues*)constants
               kernel:(std::shared_ptr<metalwright::Kernel>)kernel;
- (StandinLibrary*)library;
- (BOOL)canBeBuilt; // no function constants, or specialised
- (const metalwright::ConstantValues&)constants;
- (const std::shared_ptr<metalwright::Kernel>&)kernel; // null before specialisation
- (std::string)key;
@end

@interface MTLFunctionConstant (Standin)
- (id)initWithConstant:(const metalwright::FunctionConstant&)constant;
@end

@interface MTLFunctionConstantValues (Standin)
// Those of the library's constants that were set. Misuse if one was set with another type.
- (metalwright::ConstantValues)valuesFor:(metalwright::Library&)library;
@end

@interface MTLComputePipelineReflection (Standin)
- (id)initWithKernel:(metalwright::Kernel&)kernel options:(MTLPipelineOption)options;
@end

@interface StandinComputePipeline : StandinObject <MTLComputePipelineState> {
  StandinDevice* _device;
  NSString* _label;
  std::shared_ptr<metalwright::Kernel>* _kernel;
  NSUInteger _maxThreads;
  BOOL _multipleOfExecutionWidth;
}
- (id)initWithDevice:(StandinDevice*)device
              kernel:(std::shared_ptr<metalwright::Kernel>)kernel
          descriptor:(MTLComputePipelineDescriptor*)descriptor;
- (const std::shared_ptr<metalwright::Kernel>&)kernel;
- (BOOL)needsMultipleOfExecutionWidth;
@end

@interface StandinBinaryArchive : StandinObject <MTLBinaryArchive> {
  StandinDevice* _device;
  NSString* _label;
  NSMutableSet* _keys;
}
- (id)initWithDevice:(StandinDevice*)device url:(NSURL*)url error:(NSError**)error;
- (BOOL)containsPipeline:(const std::string&)key;
@end

@interface StandinCounterSampleBuffer : StandinObject <MTLCounterSampleBuffer> {
  StandinDevice* _device;
  NSString* _label;
  NSUInteger _sampleCount;
  MTLStorageMode _storageMode;
  std::uint64_t* _samples;
}
- (id)initWithDevice:(StandinDevice*)device
          descriptor:(MTLCounterSampleBufferDescriptor*)descriptor;
- (void)storeSample:(std::uint64_t)value atIndex:(NSUInteger)index;
@end
NSArray* standin_counter_sets();
