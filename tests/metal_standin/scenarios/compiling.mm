// Libraries, functions, pipelines, reflection, archives, captures, devices.
#include "scenario.h"

#include <cstdlib>
#include <cstring>

using namespace scenario;
using metal_standin::Settings;

static void change(void (*edit)(Settings&)) {
  Settings settings = metal_standin::settings();
  edit(settings);
  metal_standin::set_settings(settings);
}

static std::string text_of(NSError* error) {
  return error ? [[error localizedDescription] UTF8String] : "";
}

SCENARIO(compile_errors_read_like_apples) {
  const Bench bench;
  NSError* error = nil;
  id<MTLLibrary> library = compile(bench.device, "kernel void k() {\n  foo();\n}\n", &error);
  CHECK(library == nil);
  CHECK([[error domain] isEqualToString:MTLLibraryErrorDomain]);
  CHECK([error code] == MTLLibraryErrorCompileFailure);
  const std::string text = text_of(error);
  check(text.rfind("program_source:2:3: error: use of undeclared identifier 'foo'", 0) == 0, text);
  CHECK(text.find("\n  foo();\n  ^") != std::string::npos);
}

SCENARIO(warnings_give_a_library_and_an_error) {
  const Bench bench;
  NSError* error = nil;
  id<MTLLibrary> library = compile(
      bench.device, "kernel void k(device int* x) {\n  int unused = x[0] / 0;\n}\n", &error);
  CHECK(library != nil);
  CHECK([error code] == MTLLibraryErrorCompileWarning);
  CHECK(text_of(error).find("warning: ") != std::string::npos);
}

SCENARIO(a_missing_function_is_nil) {
  const Bench bench;
  CHECK([bench.library newFunctionWithName:@"nonesuch"] == nil);
  NSError* error = nil;
  MTLFunctionConstantValues* values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  CHECK([bench.library newFunctionWithName:@"nonesuch" constantValues:values error:&error] == nil);
  CHECK([error code] == MTLLibraryErrorFunctionNotFound);
}

static const char* const kConstants = R"(
#include <metal_stdlib>
using namespace metal;
constant int factor [[function_constant(0)]];
constant float2 twin [[function_constant(3)]];
kernel void k(device float* out [[buffer(0)]]) { out[0] = float(factor) * twin.y; }
)";

SCENARIO(function_constants) {
  const Bench bench;
  NSError* error = nil;
  id<MTLLibrary> library = compile(bench.device, kConstants, &error);
  check(library != nil, text_of(error));
  id<MTLFunction> bare = [[library newFunctionWithName:@"k"] autorelease];
  NSDictionary<NSString*, MTLFunctionConstant*>* constants = [bare functionConstantsDictionary];
  CHECK([constants count] == 2);
  CHECK([[constants objectForKey:@"factor"] type] == MTLDataTypeInt);
  CHECK([[constants objectForKey:@"twin"] type] == MTLDataTypeFloat2);
  CHECK([[constants objectForKey:@"twin"] index] == 3);
  expect_misuse("unspecialised-function", ^{
    NSError* ignored = nil;
    [bench.device newComputePipelineStateWithFunction:bare error:&ignored];
  });

  MTLFunctionConstantValues* values = [[[MTLFunctionConstantValues alloc] init] autorelease];
  const int factor = 6;
  [values setConstantValue:&factor type:MTLDataTypeInt atIndex:0];
  error = nil;
  CHECK([library newFunctionWithName:@"k" constantValues:values error:&error] == nil);
  check(text_of(error).find("twin") != std::string::npos, text_of(error));

  const float pair[2] = {2, 7};
  [values setConstantValue:pair type:MTLDataTypeFloat2 withName:@"twin"];
  id<MTLFunction> function = [[library newFunctionWithName:@"k" constantValues:values
                                                     error:&error] autorelease];
  CHECK(function != nil);
  id<MTLComputePipelineState> pipeline =
      [[bench.device newComputePipelineStateWithFunction:function error:&error] autorelease];
  CHECK(pipeline != nil);
  id<MTLBuffer> out = bench.buffer(4);
  id<MTLCommandBuffer> commands = [bench.queue commandBuffer];
  id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
  [encoder setComputePipelineState:pipeline];
  [encoder setBuffer:out offset:0 atIndex:0];
  [encoder dispatchThreads:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
  [encoder endEncoding];
  [commands commit];
  [commands waitUntilCompleted];
  CHECK(*static_cast<float*>([out contents]) == 42);

  expect_misuse("function-constant-type", ^{
    const float wrong = 1;
    MTLFunctionConstantValues* floats = [[[MTLFunctionConstantValues alloc] init] autorelease];
    [floats setConstantValue:&wrong type:MTLDataTypeFloat atIndex:0];
    NSError* ignored = nil;
    [library newFunctionWithName:@"k" constantValues:floats error:&ignored];
  });
}

SCENARIO(back_end_errors_come_with_the_pipeline) {
  const Bench bench;
  NSError* error = nil;
  id<MTLLibrary> library = compile(bench.device,
                                   "#include <metal_stdlib>\nusing namespace metal;\n"
                                   "kernel void k(device float* out, uint i "
                                   "[[thread_position_in_threadgroup]]) {\n"
                                   "  threadgroup float room[10000];\n  room[i] = out[i];\n"
                                   "  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
                                   "  out[i] = room[i ^ 1];\n}\n",
                                   &error);
  CHECK(library != nil);
  id<MTLFunction> function = [[library newFunctionWithName:@"k"] autorelease];
  CHECK(function != nil);
  CHECK([bench.device newComputePipelineStateWithFunction:function error:&error] == nil);
  check(text_of(error).find("exceeds the maximum threadgroup memory allowed (32768)") !=
            std::string::npos,
        text_of(error));
  CHECK(![[error domain] isEqualToString:MTLLibraryErrorDomain]);
}

SCENARIO(injected_compile_failures) {
  const Bench bench;
  metal_standin::inject("library-compile");
  NSError* error = nil;
  CHECK(compile(bench.device, "kernel void k() {}", &error) == nil);
  CHECK(error != nil);
  metal_standin::inject("pipeline-compile");
  id<MTLFunction> function = [[bench.library newFunctionWithName:@"copy"] autorelease];
  error = nil;
  CHECK([bench.device newComputePipelineStateWithFunction:function error:&error] == nil);
  CHECK(error != nil);
  CHECK([[bench.device newComputePipelineStateWithFunction:function
                                                     error:&error] autorelease] != nil);
}

SCENARIO(a_pipeline_of_no_threads) {
  change([](Settings& settings) { settings.max_total_threads = 0; });
  const Bench bench;
  CHECK([bench.pipeline("copy") maxTotalThreadsPerThreadgroup] == 0);
}

SCENARIO(reflection) {
  const Bench bench;
  MTLComputePipelineReflection* reflection = nil;
  id<MTLComputePipelineState> pipeline = bench.pipeline("scale", &reflection);
  CHECK([pipeline threadExecutionWidth] == 32);
  CHECK([pipeline maxTotalThreadsPerThreadgroup] == 1024);
  CHECK([bench.pipeline("limited") maxTotalThreadsPerThreadgroup] == 64);
  CHECK([reflection.bindings count] == 2);
  auto out = (id<MTLBufferBinding>)[reflection.bindings objectAtIndex:0];
  CHECK([[out name] isEqualToString:@"out"]);
  CHECK([out type] == MTLBindingTypeBuffer);
  CHECK([out access] == MTLArgumentAccessReadWrite);
  CHECK([out bufferDataType] == MTLDataTypeFloat4);
  CHECK([out bufferDataSize] == 16 && [out bufferAlignment] == 16);
  CHECK([out isUsed] && [out isArgument]);
  auto by = (id<MTLBufferBinding>)[reflection.bindings objectAtIndex:1];
  CHECK([by index] == 1 && [by access] == MTLArgumentAccessReadOnly);
  bench.pipeline("share", &reflection);
  auto room = (id<MTLThreadgroupBinding>)[reflection.bindings objectAtIndex:1];
  CHECK([room type] == MTLBindingTypeThreadgroupMemory);
  CHECK([room threadgroupMemoryDataSize] == 4 && [room threadgroupMemoryAlignment] == 4);
  bool refused = false;
  @try {
    [(id<MTLBufferBinding>)room bufferDataType];
  } @catch (NSException* exception) {
    refused = true;
  }
  CHECK(refused);
}

SCENARIO(options_reach_the_compiler) {
  const Bench bench;
  MTLCompileOptions* options = [[[MTLCompileOptions alloc] init] autorelease];
  options.preprocessorMacros = @{@"WIDTH" : @3, @"TYPE" : @"int"};
  options.mathMode = MTLMathModeSafe;
  options.languageVersion = MTLLanguageVersion3_1;
  NSError* error = nil;
  CHECK(compile(bench.device,
                "kernel void k(device TYPE* x) { x[0] = WIDTH; }\n"
                "static_assert(WIDTH == 3);\nstatic_assert(__METAL_VERSION__ == 310);\n",
                &error, options) != nil);
  options.languageVersion = MTLLanguageVersion4_0;
  error = nil;
  CHECK(compile(bench.device, "kernel void k() {}", &error, options) == nil); // macOS 15
  CHECK(error != nil);
}

SCENARIO(paravirtual_device) {
  change([](Settings& settings) { settings.apple_family = 5; });
  const Bench bench;
  CHECK([bench.device supportsFamily:MTLGPUFamilyApple5]);
  CHECK(![bench.device supportsFamily:MTLGPUFamilyApple7]);
  CHECK(![bench.device supportsFamily:MTLGPUFamilyMetal3]);
  NSError* error = nil;
  for (const char* body : {"kernel void k(device bfloat* x) { x[0] = x[1] + x[2]; }",
                           "kernel void k(device float* x) { simdgroup_float8x8 m; "
                           "simdgroup_load(m, x, 8); simdgroup_multiply(m, m, m); "
                           "simdgroup_store(m, x, 8); }"}) {
    const std::string source =
        std::string("#include <metal_stdlib>\nusing namespace metal;\n") + body;
    id<MTLLibrary> library = compile(bench.device, source.c_str(), &error);
    check(library != nil, text_of(error));
    id<MTLFunction> function = [[library newFunctionWithName:@"k"] autorelease];
    error = nil;
    CHECK([bench.device newComputePipelineStateWithFunction:function error:&error] == nil);
    check(text_of(error).find("not supported by this GPU") != std::string::npos, text_of(error));
  }
}

SCENARIO(device_discovery) {
  CHECK([MTLCreateSystemDefaultDevice() autorelease] ==
        [MTLCreateSystemDefaultDevice() autorelease]);
  change([](Settings& settings) { settings.has_default_device = false; });
  CHECK(MTLCreateSystemDefaultDevice() == nil);
  CHECK([[MTLCopyAllDevices() autorelease] count] == 1);
  change([](Settings& settings) { settings.device_count = 0; });
  CHECK([[MTLCopyAllDevices() autorelease] count] == 0);
}

SCENARIO(what_the_system_says) {
  for (int major : {14, 15, 26}) {
    Settings settings = metal_standin::settings();
    settings.macos_major = major;
    settings.thermal_state = 2;
    settings.low_power_mode = true;
    metal_standin::set_settings(settings);
    int found = 14;
    if (@available(macOS 15.0, iOS 18.0, *))
      found = 15;
    if (@available(macOS 26, *))
      found = 26;
    check(found == major, "@available says " + std::to_string(found));
    NSProcessInfo* process = [NSProcessInfo processInfo];
    CHECK([process operatingSystemVersion].majorVersion == major);
    CHECK([process thermalState] == NSProcessInfoThermalStateSerious);
    CHECK([process isLowPowerModeEnabled]);
  }
}

SCENARIO(binary_archives) {
  const Bench bench;
  const char* folder = std::getenv("SCENARIO_FOLDER");
  CHECK(folder != nullptr);
  NSString* path =
      [[NSString stringWithUTF8String:folder] stringByAppendingPathComponent:@"kernels.archive"];
  NSURL* url = [NSURL fileURLWithPath:path];
  NSError* error = nil;
  MTLBinaryArchiveDescriptor* descriptor = [[[MTLBinaryArchiveDescriptor alloc] init] autorelease];
  MTLComputePipelineDescriptor* pipeline =
      [[[MTLComputePipelineDescriptor alloc] init] autorelease];
  pipeline.computeFunction = [[bench.library newFunctionWithName:@"copy"] autorelease];
  const auto make = [&](MTLPipelineOption options) {
    error = nil;
    return [[bench.device newComputePipelineStateWithDescriptor:pipeline
                                                        options:options
                                                     reflection:NULL
                                                          error:&error] autorelease] != nil;
  };
  id<MTLBinaryArchive> empty = [[bench.device newBinaryArchiveWithDescriptor:descriptor
                                                                       error:&error] autorelease];
  pipeline.binaryArchives = @[ empty ];
  CHECK(!make(MTLPipelineOptionFailOnBinaryArchiveMiss));
  CHECK(make(MTLPipelineOptionNone));
  CHECK([empty addComputePipelineFunctionsWithDescriptor:pipeline error:&error]);
  CHECK(make(MTLPipelineOptionFailOnBinaryArchiveMiss));
  CHECK([empty serializeToURL:url error:&error]);

  descriptor.url = url;
  id<MTLBinaryArchive> loaded = [[bench.device newBinaryArchiveWithDescriptor:descriptor
                                                                        error:&error] autorelease];
  CHECK(loaded != nil);
  pipeline.binaryArchives = @[ loaded ];
  CHECK(make(MTLPipelineOptionFailOnBinaryArchiveMiss));

  change([](Settings& settings) { settings.macos_minor = 1; }); // another system
  id<MTLBinaryArchive> stale = [[bench.device newBinaryArchiveWithDescriptor:descriptor
                                                                       error:&error] autorelease];
  pipeline.binaryArchives = @[ stale ];
  CHECK(!make(MTLPipelineOptionFailOnBinaryArchiveMiss));

  NSData* data = [NSData dataWithContentsOfFile:path];
  [[data subdataWithRange:NSMakeRange(0, [data length] - 3)] writeToFile:path atomically:NO];
  error = nil;
  CHECK([bench.device newBinaryArchiveWithDescriptor:descriptor error:&error] == nil);
  CHECK([error code] == MTLBinaryArchiveErrorInvalidFile);
}

SCENARIO(captures) {
  const Bench bench;
  const char* folder = std::getenv("SCENARIO_FOLDER");
  CHECK(folder != nullptr);
  NSString* path =
      [[NSString stringWithUTF8String:folder] stringByAppendingPathComponent:@"x.gputrace"];
  MTLCaptureManager* manager = [MTLCaptureManager sharedCaptureManager];
  MTLCaptureDescriptor* descriptor = [[[MTLCaptureDescriptor alloc] init] autorelease];
  descriptor.captureObject = bench.device;
  descriptor.destination = MTLCaptureDestinationGPUTraceDocument;
  descriptor.outputURL = [NSURL fileURLWithPath:path];
  NSError* error = nil;
  change([](Settings& settings) { settings.capture_enabled = false; });
  CHECK(![manager supportsDestination:MTLCaptureDestinationGPUTraceDocument]);
  CHECK(![manager startCaptureWithDescriptor:descriptor error:&error]);
  CHECK([error code] == MTLCaptureErrorNotSupported);
  change([](Settings& settings) { settings.capture_enabled = true; });
  CHECK([manager startCaptureWithDescriptor:descriptor error:&error]);
  CHECK([manager isCapturing]);
  CHECK(![manager startCaptureWithDescriptor:descriptor error:&error]);
  CHECK([error code] == MTLCaptureErrorAlreadyCapturing);
  [start_copy(bench, bench.buffer(256), bench.buffer(256)) waitUntilCompleted];
  [manager stopCapture];
  CHECK(![manager isCapturing]);
  NSString* index =
      [NSString stringWithContentsOfFile:[path stringByAppendingPathComponent:@"index"]
                                encoding:NSUTF8StringEncoding
                                   error:&error];
  CHECK([index rangeOfString:@"command buffers: 1"].length > 0);
  CHECK(![manager startCaptureWithDescriptor:descriptor error:&error]); // exists now
  CHECK([error code] == MTLCaptureErrorInvalidDescriptor);
}
