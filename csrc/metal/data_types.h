// MSL's names of the types that Metal's reflection numbers.
#pragma once

#import <Metal/Metal.h>

#include <cstdint>
#include <string>

namespace metalwright::metal {

// "float", "half4", "float4x4"; empty for what has no name of its own: structs, arrays, pointers,
// and whatever is newer than this list.
std::string data_type_name(MTLDataType type);

} // namespace metalwright::metal
