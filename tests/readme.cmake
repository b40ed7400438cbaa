# The README shows the first example as it is.
cmake_minimum_required(VERSION 3.25)

file(READ ${SOURCE}/README.md readme)
file(READ ${SOURCE}/examples/01_declare_derive_evaluate.cpp example)
string(FIND "${example}" "#include" begin)
string(SUBSTRING "${example}" ${begin} -1 program)
string(FIND "${readme}" "${program}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "README.md does not show examples/01_declare_derive_evaluate.cpp as it is: copy the program there")
endif()
