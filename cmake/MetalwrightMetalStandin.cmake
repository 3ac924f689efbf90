# Objective-C++ outside Apple's platforms: clang, GNUstep, GCC's Objective-C run time, and the stand-in's
# <Metal/Metal.h>. Defines the interface target metal_standin_headers, or says why it cannot.
# Tests only: nothing of it is in a release.
set(METALWRIGHT_METAL_STANDIN OFF)
find_program(METALWRIGHT_CLANGXX NAMES "clang++-${LLVM_VERSION_MAJOR}" clang++ HINTS "${LLVM_TOOLS_BINARY_DIR}")
find_path(_gnustep_include Foundation/Foundation.h PATHS /usr/include/GNUstep)
find_library(_gnustep_base gnustep-base)
# GCC keeps the headers and the library of its Objective-C run time in a folder of its own. Newest first.
file(GLOB _objc_headers "/usr/lib/gcc/*/*/include/objc/objc.h")
list(SORT _objc_headers COMPARE NATURAL ORDER DESCENDING)
foreach(_header ${_objc_headers})
  get_filename_component(_objc_folder "${_header}" DIRECTORY)
  get_filename_component(_gcc_folder "${_objc_folder}/../.." ABSOLUTE)
  find_library(_objc_runtime objc HINTS "${_gcc_folder}")
  break()
endforeach()
set(_missing "")
foreach(_part METALWRIGHT_CLANGXX _gnustep_include _gnustep_base _objc_runtime)
  if(NOT ${_part})
    string(APPEND _missing " ${_part}")
  endif()
endforeach()
if(_missing)
  message(WARNING "The Metal device is not tested: not found:${_missing}. On Debian or Ubuntu:\n"
                  "  apt-get install gobjc++ libgnustep-base-dev")
  return()
endif()
set(METALWRIGHT_METAL_STANDIN ON)

# GCC's front end has neither blocks nor @available.
if(NOT CMAKE_OBJCXX_COMPILER)
  set(CMAKE_OBJCXX_COMPILER "${METALWRIGHT_CLANGXX}")
endif()
enable_language(OBJCXX)
set(CMAKE_OBJCXX_STANDARD 20)
set(CMAKE_OBJCXX_STANDARD_REQUIRED ON)
set(CMAKE_OBJCXX_EXTENSIONS OFF)
set(CMAKE_OBJCXX_VISIBILITY_PRESET hidden)
set(CMAKE_OBJCXX_COMPILER_LAUNCHER "${CMAKE_CXX_COMPILER_LAUNCHER}")

# Only GCC's objc/: the folder around it holds GCC's intrinsics, which clang cannot read.
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/objc_headers")
file(CREATE_LINK "${_objc_folder}" "${PROJECT_BINARY_DIR}/objc_headers/objc" SYMBOLIC)

# How to compile; metal_standin_headers below adds what must be linked.
add_library(metal_standin_objcxx INTERFACE)
target_include_directories(metal_standin_objcxx SYSTEM INTERFACE
  "${PROJECT_SOURCE_DIR}/tests/metal_standin/include" "${_gnustep_include}"
  "${PROJECT_BINARY_DIR}/objc_headers")
target_compile_definitions(metal_standin_objcxx INTERFACE
  GNUSTEP GNUSTEP_BASE_LIBRARY=1 _NATIVE_OBJC_EXCEPTIONS GNU_RUNTIME=1)
target_compile_options(metal_standin_objcxx INTERFACE
  # The warnings that metalwright_options() chooses are those of the C++ compiler, which may be GCC.
  "$<$<COMPILE_LANGUAGE:OBJCXX>:-fobjc-runtime=gcc;-fblocks;-fexceptions;-fobjc-exceptions;-fconstant-string-class=NSConstantString;-Wno-unknown-warning-option;-Wno-objc-nonunified-exceptions>")
# Before the run times' own: C++ and Objective-C exceptions meet, and blocks are copied and retain what they
# capture, as on Apple's. Hidden in every library that contains .mm files.
add_library(metal_standin_runtime STATIC
  "${PROJECT_SOURCE_DIR}/tests/metal_standin/implementation/blocks_runtime.mm"
  "${PROJECT_SOURCE_DIR}/tests/metal_standin/implementation/objc_personality.cpp")
target_link_libraries(metal_standin_runtime PRIVATE metal_standin_objcxx)
metalwright_options(metal_standin_runtime)
add_library(metal_standin_headers INTERFACE)
target_link_libraries(metal_standin_headers INTERFACE metal_standin_objcxx metal_standin_runtime
  "${_gnustep_base}" "${_objc_runtime}")
