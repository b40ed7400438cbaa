# The code blocks of a guide, one after the other. The line that opens a block names its language, and after that what is to
# be done with it; see extract.cmake and check.cmake.

# next_block(): takes the next block from `rest` (a guide's text to begin with); sets `found`, and then `language`, `purpose`
# (the words behind the language) and `body` (with a line end before and behind it).
macro(next_block)
  set(found FALSE)
  if("${rest}" MATCHES "\n```([a-z]+)( [^\n]+)?\n")
    set(found TRUE)
    set(opening "${CMAKE_MATCH_0}")
    set(language "${CMAKE_MATCH_1}")
    string(STRIP "${CMAKE_MATCH_2}" purpose)
    string(FIND "${rest}" "${opening}" at)
    string(LENGTH "${opening}" length)
    math(EXPR at "${at} + ${length} - 1")
    string(SUBSTRING "${rest}" ${at} -1 rest)
    string(FIND "${rest}" "\n```\n" end)
    if(end EQUAL -1)
      message(FATAL_ERROR "${GUIDE}: the block '${language} ${purpose}' has no end")
    endif()
    math(EXPR behind "${end} + 1")
    string(SUBSTRING "${rest}" 0 ${behind} body)
    math(EXPR behind "${end} + 4")
    string(SUBSTRING "${rest}" ${behind} -1 rest)
  endif()
endmacro()
