# alphaform_module(name SOURCES ... DEPENDS ... PRIVATE ...): one library a folder, whose headers are included as
# <alphaform/folder/header.hpp> from the source tree just as from an installation.
set(ALPHAFORM_WARNINGS -Wall -Wextra -Wpedantic -Wconversion)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include/alphaform)

function(alphaform_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include/alphaform/${name} SYMBOLIC)
  if(arg_SOURCES)
    add_library(alphaform_${name} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
    target_compile_options(alphaform_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${ALPHAFORM_WARNINGS}>)
    target_link_libraries(alphaform_${name} PRIVATE ${arg_PRIVATE})
  else()
    add_library(alphaform_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(
    alphaform_${name} ${scope} $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(alphaform_${name} ${scope} cxx_std_20)
  target_link_libraries(alphaform_${name} ${scope} ${arg_DEPENDS})
  set_target_properties(alphaform_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(alphaform::${name} ALIAS alphaform_${name})
  install(TARGETS alphaform_${name} EXPORT alphaform)
  install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/alphaform/${name} FILES_MATCHING PATTERN "*.hpp"
          PATTERN "cuda" EXCLUDE)
endfunction()
