# Finds LLVM and Clang (19, 20 or 21: the newest first that is complete) and wraps them in two interface
# targets, so that the rest of the build never names a library of theirs.
# LLVM's own version file accepts an exact major.minor only, hence the check of the major version here.
if(DEFINED LLVM_DIR)
  find_package(LLVM CONFIG)
endif()
foreach(_version 21 20 19)
  if(NOT LLVM_FOUND)
    find_package(LLVM QUIET CONFIG NO_DEFAULT_PATH
                 PATHS "/usr/lib/llvm-${_version}" "/opt/homebrew/opt/llvm@${_version}"
                       "/usr/local/opt/llvm@${_version}" "/usr/lib64/llvm${_version}")
    if(LLVM_FOUND)
      find_package(Clang QUIET CONFIG NO_DEFAULT_PATH
                   PATHS "${LLVM_INSTALL_PREFIX}/lib/cmake/clang" "${LLVM_INSTALL_PREFIX}")
      find_program(METALWRIGHT_CLANG NAMES "clang-${_version}" clang
                   HINTS "${LLVM_TOOLS_BINARY_DIR}")
      if(NOT Clang_FOUND OR NOT METALWRIGHT_CLANG)
        set(LLVM_FOUND FALSE)
        unset(LLVM_DIR CACHE)
        unset(METALWRIGHT_CLANG CACHE)
      endif()
    endif()
  endif()
endforeach()
if(NOT LLVM_FOUND)
  find_package(LLVM QUIET CONFIG) # wherever else CMake looks
endif()
if(LLVM_FOUND AND NOT Clang_FOUND)
  find_package(Clang CONFIG HINTS "${LLVM_INSTALL_PREFIX}/lib/cmake/clang")
  find_program(METALWRIGHT_CLANG NAMES "clang-${LLVM_VERSION_MAJOR}" clang
               HINTS "${LLVM_TOOLS_BINARY_DIR}")
endif()
if(LLVM_FOUND AND (LLVM_VERSION_MAJOR LESS 19 OR LLVM_VERSION_MAJOR GREATER 21))
  message(STATUS "LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR} is not one of 19, 20, 21")
  set(LLVM_FOUND FALSE)
endif()
if(NOT LLVM_FOUND)
  message(FATAL_ERROR
    "metalwright needs LLVM and Clang 19, 20 or 21 with their headers. On Debian or Ubuntu:\n"
    "  apt-get install clang-19 libclang-19-dev llvm-19-dev zlib1g-dev libzstd-dev")
endif()
message(STATUS "LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_INSTALL_PREFIX}, clang: ${METALWRIGHT_CLANG}")

add_library(metalwright_llvm INTERFACE)
target_include_directories(metalwright_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
separate_arguments(_llvm_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
target_compile_definitions(metalwright_llvm INTERFACE ${_llvm_definitions})
if(NOT LLVM_ENABLE_RTTI)
  target_compile_options(metalwright_llvm INTERFACE -fno-rtti)
endif()

add_library(metalwright_clang INTERFACE)
target_include_directories(metalwright_clang SYSTEM INTERFACE ${CLANG_INCLUDE_DIRS})
target_link_libraries(metalwright_clang INTERFACE metalwright_llvm)

if(METALWRIGHT_STATIC_LLVM)
  llvm_map_components_to_libnames(_llvm_libs core support analysis passes orcjit native nativecodegen
                                  bitreader bitwriter irreader linker transformutils ipo
                                  coroutines coverage frontenddriver frontendhlsl frontendopenmp instrumentation
                                  lto objcarcopts option profiledata windowsdriver)
  # Distributions build Clang's archives to be linked with the shared LLVM and say so in the targets: two LLVMs
  # would meet in one process.
  foreach(_target ${CLANG_EXPORTED_TARGETS})
    set(_libraries "")
    if(TARGET ${_target})
      get_target_property(_libraries ${_target} INTERFACE_LINK_LIBRARIES)
    endif()
    if(_libraries)
      list(FILTER _libraries EXCLUDE REGEX "^(.<LINK_ONLY:)?(LLVM|clang-cpp)>?$")
      set_target_properties(${_target} PROPERTIES INTERFACE_LINK_LIBRARIES "${_libraries}")
    endif()
  endforeach()
  target_link_libraries(metalwright_llvm INTERFACE ${_llvm_libs})
  target_link_libraries(metalwright_clang INTERFACE clangFrontend clangCodeGen clangParse clangSema
                        clangSerialization clangAST clangLex clangBasic)
  if(NOT APPLE)
    # lld is several times faster here and drops what is not used. GCC looks for a program ld.lld, which a
    # distribution keeps in LLVM's own folder; -B adds that folder.
    find_program(METALWRIGHT_LLD NAMES ld.lld HINTS "${LLVM_TOOLS_BINARY_DIR}" NO_CACHE)
    if(METALWRIGHT_LLD)
      get_filename_component(_lld_folder "${METALWRIGHT_LLD}" DIRECTORY)
      target_link_options(metalwright_llvm INTERFACE "-B${_lld_folder}" -fuse-ld=lld)
    endif()
    # Nothing of LLVM is visible outside: torch brings an LLVM of its own into the process.
    target_link_options(metalwright_llvm INTERFACE -Wl,--gc-sections -Wl,--exclude-libs,ALL)
  endif()
else()
  target_link_libraries(metalwright_llvm INTERFACE LLVM)
  target_link_libraries(metalwright_clang INTERFACE clang-cpp)
endif()
