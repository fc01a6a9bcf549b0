# embed.cmake - writes files as C arrays: cmake -DOUT=x.c "-DFILES=a;b" -P embed.cmake
# The result defines ls_ref_sources[] of src/engine/ref_sources.h, in the order given.
set(arrays "")
set(rows "")
set(n 0)
foreach(file IN LISTS FILES)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  get_filename_component(name "${file}" NAME)
  string(APPEND arrays "static const unsigned char file_${n}[] = {\n${bytes}\n};\n")
  string(APPEND rows "    {\"${name}\", file_${n}, sizeof(file_${n})},\n")
  math(EXPR n "${n} + 1")
endforeach()
file(WRITE "${OUT}" "// Written by cmake/embed.cmake from adapters/.
#include \"engine/ref_sources.h\"

${arrays}
const ls_ref_source ls_ref_sources[] = {
${rows}};
const size_t ls_ref_n_sources = ${n};
")
