# One static library per folder of csrc/, with the project's warnings and sanitisers.
function(metalwright_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wno-unused-parameter)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 sees an overlapping memcpy in "literal" + std::string (GCC bug 105651).
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(METALWRIGHT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(METALWRIGHT_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=address,undefined -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

# metalwright_component(name SOURCES ... LINK ...): library metalwright_<name>.
function(metalwright_component name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(metalwright_${name} STATIC ${arg_SOURCES})
  target_include_directories(metalwright_${name} PUBLIC "${PROJECT_SOURCE_DIR}/csrc")
  target_link_libraries(metalwright_${name} PUBLIC ${arg_LINK})
  metalwright_options(metalwright_${name})
endfunction()
