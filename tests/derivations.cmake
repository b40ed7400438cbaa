# docs/derivations/NAME.md is what `alphaform derive NAME --format markdown` prints; measured residuals differ between machines, so
# numbers with an exponent are left out of the comparison.
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND ${COMMAND} derive ${NAME} --format markdown OUTPUT_VARIABLE printed RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "alphaform derive ${NAME} exits with ${status}")
endif()
file(READ ${FILE} stored)
foreach(text printed stored)
  string(REGEX REPLACE "[0-9.]+e-[0-9]+" "~" ${text} "${${text}}")
  string(REGEX REPLACE "Residual [0~]+" "Residual ~" ${text} "${${text}}")
endforeach()
if(NOT printed STREQUAL stored)
  message(FATAL_ERROR "${FILE} is out of date; write it again with: alphaform derive ${NAME} --format markdown -o ${FILE}")
endif()
