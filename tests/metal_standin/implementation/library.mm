// Libraries, functions and their constants.
#import "objects.h"

#include <cstring>

using namespace metal_standin;

NSErrorDomain const MTLLibraryErrorDomain = @"MTLLibraryErrorDomain";

@implementation MTLFunctionConstant
METAL_STANDIN_COUNTED
@synthesize name = _name;
@synthesize type = _type;
@synthesize index = _index;
@synthesize required = _required;

- (id)initWithConstant:(const metalwright::FunctionConstant&)constant {
  if ((self = [super init])) {
    _name = [ns(constant.name) retain];
    _type = data_type(constant.type_name);
    _index = constant.index;
    _required = constant.required;
  }
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_name release];
  [super dealloc];
}
@end

@implementation MTLFunctionConstantValues
METAL_STANDIN_COUNTED

- (id)init {
  if ((self = [super init]))
    _values = [[NSMutableDictionary alloc] init];
  return self;
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_values release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLFunctionConstantValues* copy = [[MTLFunctionConstantValues allocWithZone:zone] init];
  [copy->_values setDictionary:_values];
  return copy;
}

- (void)set:(const void*)value type:(MTLDataType)type key:(id)key {
  const NSUInteger size = constant_size(type);
  if (size == 0)
    stop("function-constant-type", @"data type %lu cannot be a function constant's",
         (unsigned long)type);
  if (!value || !key)
    stop("function-constant-value", @"a function constant was given no value or no name");
  [_values setObject:@[ @(NSUInteger(type)), [NSData dataWithBytes:value length:size] ] forKey:key];
}
- (void)setConstantValue:(const void*)value type:(MTLDataType)type atIndex:(NSUInteger)index {
  [self set:value type:type key:@(index)];
}
- (void)setConstantValues:(const void*)values type:(MTLDataType)type withRange:(NSRange)range {
  const NSUInteger size = constant_size(type);
  for (NSUInteger i = 0; i < range.length; ++i)
    [self set:static_cast<const char*>(values) + i * size type:type key:@(range.location + i)];
}
- (void)setConstantValue:(const void*)value type:(MTLDataType)type withName:(NSString*)name {
  [self set:value type:type key:name];
}
- (void)reset {
  [_values removeAllObjects];
}

- (metalwright::ConstantValues)valuesFor:(metalwright::Library&)library {
  metalwright::ConstantValues result;
  for (const metalwright::FunctionConstant& constant : library.function_constants()) {
    NSArray* entry = [_values objectForKey:@(NSUInteger(constant.index))];
    if (!entry)
      entry = [_values objectForKey:ns(constant.name)];
    if (!entry)
      continue;
    const auto type = MTLDataType([[entry objectAtIndex:0] unsignedIntegerValue]);
    if (type != data_type(constant.type_name))
      stop("function-constant-type",
           @"function constant %s (index %u) is a %s; the value's data type is %lu",
           constant.name.c_str(), constant.index, constant.type_name.c_str(), (unsigned long)type);
    result.emplace(std::to_string(constant.index),
                   constant_value(type, [[entry objectAtIndex:1] bytes]));
  }
  return result;
}
@end

@implementation MTLFunctionDescriptor
METAL_STANDIN_COUNTED
@synthesize name = _name;
@synthesize specializedName = _specializedName;
@synthesize constantValues = _constantValues;
@synthesize options = _options;

+ (MTLFunctionDescriptor*)functionDescriptor {
  return [[[MTLFunctionDescriptor alloc] init] autorelease];
}
- (void)dealloc {
  METAL_STANDIN_UNCOUNT;
  [_name release];
  [_specializedName release];
  [_constantValues release];
  [super dealloc];
}
- (id)copyWithZone:(NSZone*)zone {
  MTLFunctionDescriptor* copy = [[MTLFunctionDescriptor allocWithZone:zone] init];
  copy.name = _name;
  copy.specializedName = _specializedName;
  copy.constantValues = _constantValues;
  copy.options = _options;
  return copy;
}
@end

// ------------------------------------------------------------------ libraries

@implementation StandinLibrary
@synthesize label = _label;

- (id)initWithDevice:(StandinDevice*)device
             library:(std::shared_ptr<metalwright::Library>)library
                 key:(const std::string&)key {
  if ((self = [super init])) {
    _device = [device retain];
    _library = new std::shared_ptr<metalwright::Library>(std::move(library));
    _key = new std::string(key);
  }
  return self;
}
- (void)dealloc {
  delete _library;
  delete _key;
  [_label release];
  [_device release];
  [super dealloc];
}
- (metalwright::Library&)library {
  return **_library;
}
- (const std::string&)key {
  return *_key;
}
- (id<MTLDevice>)device {
  return _device;
}
- (MTLLibraryType)type {
  return MTLLibraryTypeExecutable;
}
- (NSString*)installName {
  return nil;
}
- (NSArray*)functionNames {
  NSMutableArray* names = [NSMutableArray array];
  for (const std::string& name : (*_library)->kernel_names())
    [names addObject:ns(name)];
  return names;
}

- (BOOL)hasFunction:(NSString*)name {
  return [[self functionNames] containsObject:name] && !take_fault("function-missing");
}

- (id<MTLFunction>)newFunctionWithName:(NSString*)name {
  if (!name)
    stop("function-name", @"functionName must not be nil");
  if (![self hasFunction:name])
    return nil;
  return [[StandinFunction alloc] initWithLibrary:self name:name constants:nullptr kernel:nullptr];
}

- (id<MTLFunction>)newFunctionWithName:(NSString*)name
                        constantValues:(MTLFunctionConstantValues*)constantValues
                                 error:(NSError**)error {
  if (!name || !constantValues)
    stop("function-name", @"name and constantValues must not be nil");
  if (![self hasFunction:name]) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorFunctionNotFound,
              [NSString stringWithFormat:@"Function %@ was not found in the library", name]);
    return nil;
  }
  const metalwright::ConstantValues values = [constantValues valuesFor:**_library];
  count("specialisations");
  MadeKernel made = make_kernel(**_library, utf8(name), values);
  // What only the back end can find out comes with the pipeline.
  if (!made.kernel && made.code.find("function-constant") != std::string::npos) {
    set_error(error, MTLLibraryErrorDomain, MTLLibraryErrorCompileFailure, ns(made.message));
    return nil;
  }
  return [[StandinFunction alloc] initWithLibrary:self
                                             name:name
                                        constants:&values
                                           kernel:made.kernel];
}

- (id<MTLFunction>)newFunctionWithDescriptor:(MTLFunctionDescriptor*)descriptor
                                       error:(NSError**)error {
  id<MTLFunction> function = nil;
  if (descriptor.constantValues)
    function = [self newFunctionWithName:descriptor.name
                          constantValues:descriptor.constantValues
                                   error:error];
  else if (!(function = [self newFunctionWithName:descriptor.name]))
    set_error(
        error, MTLLibraryErrorDomain, MTLLibraryErrorFunctionNotFound,
        [NSString stringWithFormat:@"Function %@ was not found in the library", descriptor.name]);
  return function;
}
@end

// ------------------------------------------------------------------ functions

@implementation StandinFunction
@synthesize label = _label;
@synthesize name = _name;

- (id)initWithLibrary:(StandinLibrary*)library
                 name:(NSString*)name
            constants:(const metalwright::ConstantValues*)constants
               kernel:(std::shared_ptr<metalwright::Kernel>)kernel {
  if ((self = [super init])) {
    _library = [library retain];
    _name = [name copy];
    _specialised = constants != nullptr;
    _constants =
        new metalwright::ConstantValues(constants ? *constants : metalwright::ConstantValues());
    _kernel = new std::shared_ptr<metalwright::Kernel>(std::move(kernel));
  }
  return self;
}
- (void)dealloc {
  delete _constants;
  delete _kernel;
  [_name release];
  [_label release];
  [_library release];
  [super dealloc];
}
- (StandinLibrary*)library {
  return _library;
}
- (BOOL)canBeBuilt {
  return _specialised || [_library library].function_constants().empty();
}
- (const metalwright::ConstantValues&)constants {
  return *_constants;
}
- (const std::shared_ptr<metalwright::Kernel>&)kernel {
  return *_kernel;
}
- (std::string)key {
  std::string key = [_library key] + "/" + utf8(_name);
  for (const auto& [constant, value] : *_constants) {
    key += "," + constant + "=";
    for (const metalwright::ConstantNumber& element : value.elements)
      std::visit([&](auto number) { key += std::to_string(number) + ";"; }, element);
  }
  return key;
}
- (id<MTLDevice>)device {
  return [_library device];
}
- (MTLFunctionType)functionType {
  return MTLFunctionTypeKernel;
}
- (MTLFunctionOptions)options {
  return MTLFunctionOptionNone;
}
- (NSDictionary*)functionConstantsDictionary {
  NSMutableDictionary* dictionary = [NSMutableDictionary dictionary];
  for (const metalwright::FunctionConstant& constant : [_library library].function_constants())
    [dictionary setObject:[[[MTLFunctionConstant alloc] initWithConstant:constant] autorelease]
                   forKey:ns(constant.name)];
  return dictionary;
}
@end
