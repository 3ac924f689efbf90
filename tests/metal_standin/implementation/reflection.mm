// What a pipeline says of its bindings.
#import "objects.h"

using namespace metal_standin;

@implementation MTLType
METAL_STANDIN_COUNTED
@synthesize dataType = _dataType;
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [super dealloc];
}
@end

@interface MTLPointerType (Standin)
- (id)initWithArgument:(const metalwright::Argument&)argument;
@end

static MTLArgumentAccess access_of(const metalwright::Argument& argument) {
  switch (argument.access) {
  case metalwright::Access::read:
    return MTLArgumentAccessReadOnly;
  case metalwright::Access::write:
    return MTLArgumentAccessWriteOnly;
  case metalwright::Access::read_write:
    return MTLArgumentAccessReadWrite;
  }
  return MTLArgumentAccessReadWrite;
}

@implementation MTLPointerType
@synthesize elementType = _elementType;
@synthesize access = _access;
@synthesize alignment = _alignment;
@synthesize dataSize = _dataSize;

- (id)initWithArgument:(const metalwright::Argument&)argument {
  if ((self = [super init])) {
    _dataType = MTLDataTypePointer;
    _elementType = data_type(argument.type_name);
    _access = access_of(argument);
    _alignment = argument.alignment;
    _dataSize = argument.size;
  }
  return self;
}
- (BOOL)elementIsArgumentBuffer {
  return NO;
}
@end

// One argument; answers for a buffer and for threadgroup memory.
@interface StandinBinding : StandinObject <MTLBufferBinding, MTLThreadgroupBinding> {
  metalwright::Argument* _argument;
}
@end

@implementation StandinBinding
- (id)initWithArgument:(const metalwright::Argument&)argument {
  if ((self = [super init]))
    _argument = new metalwright::Argument(argument);
  return self;
}
- (void)dealloc {
  delete _argument;
  [super dealloc];
}
- (NSString*)name {
  return ns(_argument->name);
}
- (MTLBindingType)type {
  switch (_argument->kind) {
  case metalwright::ArgumentKind::buffer:
    return MTLBindingTypeBuffer;
  case metalwright::ArgumentKind::texture:
    return MTLBindingTypeTexture;
  case metalwright::ArgumentKind::sampler:
    return MTLBindingTypeSampler;
  case metalwright::ArgumentKind::threadgroup_memory:
    break;
  }
  return MTLBindingTypeThreadgroupMemory;
}
- (MTLArgumentAccess)access {
  return access_of(*_argument);
}
- (NSUInteger)index {
  return _argument->index;
}
- (BOOL)isUsed {
  return _argument->is_used;
}
- (BOOL)isArgument {
  return YES;
}

// Apple's objects for the two kinds are of different classes.
- (void)mustBe:(MTLBindingType)type {
  if ([self type] != type)
    [self doesNotRecognizeSelector:_cmd];
}
- (NSUInteger)bufferAlignment {
  [self mustBe:MTLBindingTypeBuffer];
  return _argument->alignment;
}
- (NSUInteger)bufferDataSize {
  [self mustBe:MTLBindingTypeBuffer];
  return _argument->size;
}
- (MTLDataType)bufferDataType {
  [self mustBe:MTLBindingTypeBuffer];
  return data_type(_argument->type_name);
}
- (MTLPointerType*)bufferPointerType {
  [self mustBe:MTLBindingTypeBuffer];
  return [[[MTLPointerType alloc] initWithArgument:*_argument] autorelease];
}
- (NSUInteger)threadgroupMemoryAlignment {
  [self mustBe:MTLBindingTypeThreadgroupMemory];
  return _argument->alignment;
}
- (NSUInteger)threadgroupMemoryDataSize {
  [self mustBe:MTLBindingTypeThreadgroupMemory];
  return _argument->size;
}
@end

@implementation MTLComputePipelineReflection
METAL_STANDIN_COUNTED
@synthesize bindings = _bindings;

- (id)initWithKernel:(metalwright::Kernel&)kernel options:(MTLPipelineOption)options {
  if ((self = [super init])) {
    NSMutableArray* bindings = [NSMutableArray array];
    // MTLPipelineOptionBindingInfo, under its name of before macOS 15.
    if (options & 1)
      for (const metalwright::Argument& argument : kernel.arguments())
        if (argument.is_active)
          [bindings addObject:[[[StandinBinding alloc] initWithArgument:argument] autorelease]];
    _bindings = [bindings copy];
  }
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_bindings release];
  [super dealloc];
}
@end
