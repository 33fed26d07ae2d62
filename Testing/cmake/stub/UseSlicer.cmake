include(CTest)

set(Slicer_LIB_DIR "lib/Slicer-5.12")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_LIB_DIR}/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
set(Slicer_INSTALL_CLIMODULES_LIB_DIR "${Slicer_LIB_DIR}/cli-modules")

function(_stub_check_files)
  foreach(file IN LISTS ARGN)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "given nonexistent file or directory '${file}'")
    endif()
  endforeach()
endfunction()

# As CTK's: a rule copies each file into the one folder of all modules, and that is installed. Two
# modules that list the same relative path give two rules for one file, which Ninja refuses.
function(_stub_copy_files target destination)
  _stub_check_files(${ARGN})
  set(copied)
  foreach(file IN LISTS ARGN)
    set(from "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    set(to "${destination}/${file}")
    add_custom_command(OUTPUT "${to}" DEPENDS "${from}"
      COMMAND "${CMAKE_COMMAND}" -E copy "${from}" "${to}")
    list(APPEND copied "${to}")
  endforeach()
  add_custom_target(${target} ALL DEPENDS ${copied})
endfunction()

macro(ctkMacroCompilePythonScript)
  cmake_parse_arguments(_stub "NO_INSTALL_SUBDIR;GLOBAL_TARGET"
    "TARGET_NAME;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  if(_stub_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown keywords: ${_stub_UNPARSED_ARGUMENTS}")
  endif()
  _stub_copy_files(Copy${_stub_TARGET_NAME} "${_stub_DESTINATION_DIR}"
    ${_stub_SCRIPTS} ${_stub_RESOURCES})
  install(DIRECTORY "${_stub_DESTINATION_DIR}/" DESTINATION "${_stub_INSTALL_DIR}"
    USE_SOURCE_PERMISSIONS)
endmacro()

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_stubmodule "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME"
    "SCRIPTS;RESOURCES" ${ARGN})
  if(_stubmodule_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown keywords: ${_stubmodule_UNPARSED_ARGUMENTS}")
  endif()
  message(STATUS "Configuring Scripted module: ${_stubmodule_NAME}")
  ctkMacroCompilePythonScript(
    TARGET_NAME ${_stubmodule_NAME}
    SCRIPTS "${_stubmodule_SCRIPTS}"
    RESOURCES "${_stubmodule_RESOURCES}"
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    )
  if(BUILD_TESTING AND _stubmodule_WITH_GENERIC_TESTS)
    add_test(NAME nomainwindow_qSlicer${_stubmodule_NAME}ModuleGenericTest COMMAND Slicer)
  endif()
endmacro()

macro(SlicerMacroBuildScriptedCLI)
  cmake_parse_arguments(_stubcli "" "NAME" "" ${ARGN})
  _stub_check_files(${_stubcli_NAME}.py ${_stubcli_NAME}.xml)
  install(FILES ${_stubcli_NAME}.py ${_stubcli_NAME}.xml
    DESTINATION "${Slicer_INSTALL_CLIMODULES_LIB_DIR}")
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(_stubtest "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${_stubtest_SCRIPT}")
    message(FATAL_ERROR "given nonexistent test script '${_stubtest_SCRIPT}'")
  endif()
  get_filename_component(_stubtest_name "${_stubtest_SCRIPT}" NAME_WE)
  add_test(NAME ${_stubtest_TESTNAME_PREFIX}py_${_stubtest_name} COMMAND Slicer)
endmacro()
