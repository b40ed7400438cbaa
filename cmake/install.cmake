# The package that find_package(alphaform) finds: libraries, headers, the default model, and the config that finds what the
# static libraries link.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/alphaform)

configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/alphaform-config.cmake.in ${PROJECT_BINARY_DIR}/alphaform-config.cmake
  INSTALL_DESTINATION ${package}
  PATH_VARS CMAKE_INSTALL_DATADIR
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/alphaform-config-version.cmake COMPATIBILITY SameMinorVersion)

install(EXPORT alphaform NAMESPACE alphaform:: FILE alphaform-targets.cmake DESTINATION ${package})
install(FILES ${PROJECT_BINARY_DIR}/alphaform-config.cmake ${PROJECT_BINARY_DIR}/alphaform-config-version.cmake DESTINATION ${package})
install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/alphaform)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/alphaform)
