# Build and install two Python packages beside the scripted modules: spinemar, with its models and
# catalogues, and SpineMARLib, which the modules share. They grow by whole files, so these are found
# instead of listed; modules list theirs.
file(GLOB_RECURSE _package_scripts
  RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_SOURCE_DIR}/spinemar/*.py"
  "${CMAKE_CURRENT_SOURCE_DIR}/SpineMARLib/*.py"
  )
file(GLOB_RECURSE _package_resources
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
list(FILTER _package_resources EXCLUDE REGEX "\\.gitkeep$")

ctkMacroCompilePythonScript(
  TARGET_NAME SpineMARPackages
  SCRIPTS "${_package_scripts}"
  RESOURCES "${_package_resources}"
  DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
  INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
  NO_INSTALL_SUBDIR
  )
