// Function constants: what a function has, and the values that specialise it.
#pragma once

#import <Metal/Metal.h>

#include "metal/objects.h"

#include <vector>

namespace metalwright::metal {

// By index.
std::vector<FunctionConstant> read_function_constants(id<MTLFunction> function);

// The raw bytes of a value, converted to the constant's own type. Throws
// Error("wrong-function-constant-type").
std::vector<unsigned char> constant_bytes(const FunctionConstant& constant,
                                          const ConstantValue& value);

// `all` are the library's, `own` those of the kernel. Throws Error("no-such-function-constant"),
// Error("missing-function-constant"), Error("wrong-function-constant-type").
Owned<MTLFunctionConstantValues*> make_constant_values(const std::string& kernel,
                                                       const std::vector<FunctionConstant>& all,
                                                       const std::vector<FunctionConstant>& own,
                                                       const ConstantValues& values);

} // namespace metalwright::metal
