# cmake -DINPUT=library.bc -DOUTPUT=library_bitcode.c -P embed.cmake: a file as a C array.
file(READ "${INPUT}" _hex HEX)
string(LENGTH "${_hex}" _digits)
math(EXPR _size "${_digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," _bytes "${_hex}")
file(WRITE "${OUTPUT}"
  "// Generated from the maths library's bitcode.\n"
  "const unsigned char metalwright_maths_bitcode[] __attribute__((aligned(8))) = {${_bytes}};\n"
  "const unsigned long long metalwright_maths_bitcode_size = ${_size};\n")
