# A wrong declaration must not compile, and the message must say why:
#   cmake -DCASE=tests/fail/name.cpp -DCOMPILER=g++ "-DINCLUDES=a|b" -P check.cmake
# The file says what it expects in lines `// expect: text`. Its twin name_ok.cpp, which differs in one line, must compile: so
# it is that line which is refused.
cmake_minimum_required(VERSION 3.25)

string(REPLACE ".cpp" "_ok.cpp" twin "${CASE}")
file(READ "${CASE}" bad)
file(READ "${twin}" good)

string(REGEX MATCHALL "// expect: [^\n]+" expectations "${bad}")
if(expectations STREQUAL "")
  message(FATAL_ERROR "${CASE} has no line '// expect: text of the message'")
endif()

# Brackets and semicolons would make CMake lists of the lines.
string(REGEX REPLACE "// expect: [^\n]+\n" "" bad_lines "${bad}")
set(good_lines "${good}")
foreach(lines IN ITEMS bad_lines good_lines)
  string(REGEX REPLACE "[][;]" "," ${lines} "${${lines}}")
  string(REPLACE "\n" ";" ${lines} "${${lines}}")
endforeach()
list(LENGTH bad_lines bad_count)
list(LENGTH good_lines good_count)
set(differing 0)
foreach(a b IN ZIP_LISTS bad_lines good_lines)
  if(NOT a STREQUAL b)
    math(EXPR differing "${differing} + 1")
  endif()
endforeach()
if(NOT bad_count EQUAL good_count OR NOT differing EQUAL 1)
  message(FATAL_ERROR "${CASE} and its twin must differ in one line; they differ in ${differing} of ${bad_count} and ${good_count}")
endif()

# Plain quotes in the messages of every compiler.
set(ENV{LC_ALL} C)
string(REPLACE "|" ";" includes "${INCLUDES}")
list(TRANSFORM includes PREPEND "-I")
set(compile ${COMPILER} -std=c++20 -fsyntax-only ${includes})

execute_process(COMMAND ${compile} "${twin}" RESULT_VARIABLE status ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the correct twin does not compile:\n${output}")
endif()

execute_process(COMMAND ${compile} "${CASE}" RESULT_VARIABLE status ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${CASE} compiles, but must not")
endif()
foreach(expectation IN LISTS expectations)
  string(REPLACE "// expect: " "" text "${expectation}")
  string(FIND "${output}" "${text}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "the message does not say\n  ${text}\nbut\n${output}")
  endif()
endforeach()
# What names the mistake must not drown: at most ten lines, not counting where an include came from.
string(REGEX REPLACE "In file included from[^\n]*\n( +from[^\n]*\n)*" "" said "${output}")
string(REGEX REPLACE "[^\n]+\n?" "x" lines "${said}")
string(LENGTH "${lines}" count)
if(count GREATER 10)
  message(FATAL_ERROR "the message has ${count} lines, more than ten:\n${output}")
endif()
message("refused in ${count} lines, as it must be:\n${output}")
