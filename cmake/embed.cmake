# embed.cmake - writes files as C arrays:
#   cmake -DOUT=x.c "-DFILES=a;b" -DHEADER=dir/x.h -DTYPE=t -DTABLE=rows -DCOUNT=n_rows -P embed.cmake
# The result defines `const TYPE TABLE[]` of HEADER, {name, bytes, size} in the order given, and
# `const size_t COUNT`.
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
file(WRITE "${OUT}" "// Written by cmake/embed.cmake.
#include \"${HEADER}\"

${arrays}
const ${TYPE} ${TABLE}[] = {
${rows}};
const size_t ${COUNT} = ${n};
")
