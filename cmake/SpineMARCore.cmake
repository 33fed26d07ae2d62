# Build and install the Python package spinemar, with its models and catalogues, beside the
# scripted modules. The core grows by whole files, so they are found instead of listed; modules
# list theirs.
file(GLOB_RECURSE _core_scripts
  RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/*.py"
  )
file(GLOB_RECURSE _core_resources
  RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/*.json"
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/*.csv"
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/*.npz"
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/*.j2"
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/*.css"
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/py.typed"
  "${CMAKE_CURRENT_SOURCE_DIR}/Resources/Models/*"
  "${CMAKE_CURRENT_SOURCE_DIR}/Resources/Implants/*"
  )
list(FILTER _core_resources EXCLUDE REGEX "\\.gitkeep$")

ctkMacroCompilePythonScript(
  TARGET_NAME SpineMARCore
  SCRIPTS "${_core_scripts}"
  RESOURCES "${_core_resources}"
  DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
  INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
  NO_INSTALL_SUBDIR
  )
