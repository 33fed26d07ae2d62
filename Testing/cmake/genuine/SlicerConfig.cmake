# Slicer's own macros, from checkouts of Slicer's and CTK's sources, without a build of either:
#
#   -DSLICER_SOURCE=DIR -DCTK_SOURCE=DIR -DPYTHON_EXECUTABLE=FILE
#
# What Slicer's build would have found out is set here; the macros are not changed.
list(APPEND CMAKE_MODULE_PATH "${SLICER_SOURCE}/CMake" "${CTK_SOURCE}/CMake")
set(CTK_CMAKE_DIR "${CTK_SOURCE}/CMake")
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/../stub/Nothing.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/../stub/Nothing.cmake")
set(Slicer_FOUND TRUE)
set(Slicer_USE_PYTHONQT ON)
set(Slicer_LAUNCHER_EXECUTABLE Slicer)
set(Slicer_PYTHON_MODULE_TEST_TEMPLATES_DIR "${SLICER_SOURCE}/Base/QTCore/Testing/Python")
set(Slicer_ExternalData_DATA_MANAGEMENT_TARGET ${PROJECT_NAME}Data)
# Byte-compiling asks for these; any Python will do.
set(PYTHONINTERP_FOUND TRUE)
set(PYTHONLIBS_FOUND TRUE)
set(PYTHON_LIBRARIES optimized "${PYTHON_EXECUTABLE}")

set(Slicer_LIB_DIR "lib/Slicer-5.12")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_LIB_DIR}/qt-scripted-modules")
set(Slicer_CLIMODULES_LIB_DIR "${Slicer_LIB_DIR}/cli-modules")
set(Slicer_CLIMODULES_BIN_DIR "${Slicer_CLIMODULES_LIB_DIR}")
set(Slicer_QTLOADABLEMODULES_LIB_DIR "${Slicer_LIB_DIR}/qt-loadable-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
set(Slicer_INSTALL_CLIMODULES_LIB_DIR "${Slicer_CLIMODULES_LIB_DIR}")
set(Slicer_INSTALL_CLIMODULES_BIN_DIR "${Slicer_CLIMODULES_BIN_DIR}")
