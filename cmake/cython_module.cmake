# SPDX-License-Identifier: Apache-2.0
# fastnn_cython_module(<name> <folder>): <folder>/<name>.pyx as a C++ extension module
# linked with libfastnn and installed in the same folder.
find_package(Cython 3 REQUIRED MODULE)
include(UseCython)

function(fastnn_cython_module name folder)
  string(REPLACE / . package ${folder})
  cython_transpile(
    ${PROJECT_SOURCE_DIR}/${folder}/${name}.pyx
    LANGUAGE CXX
    MODULE_NAME ${package}.${name}
    INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE source)
  python_add_library(${name} MODULE ${source} WITH_SOABI)
  target_link_libraries(${name} PRIVATE fastnn Python::NumPy)
  target_compile_definitions(
    ${name} PRIVATE NPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION
                    NPY_TARGET_VERSION=NPY_2_0_API_VERSION)
  fastnn_sanitize(${name})
  file(RELATIVE_PATH up ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_SOURCE_DIR}/fastnn)
  set_target_properties(
    ${name} PROPERTIES INSTALL_RPATH "$ORIGIN/${up}"
                       LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/package/${folder})
  install(TARGETS ${name} LIBRARY DESTINATION ${folder})
endfunction()
