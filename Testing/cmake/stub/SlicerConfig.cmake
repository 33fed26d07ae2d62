# A stand-in for Slicer's build tree: enough to configure, build, test and install the extension
# without Slicer. It checks what Slicer's macros check (every listed file exists) and installs to
# the same folders.
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/Nothing.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/Nothing.cmake")
set(Slicer_FOUND TRUE)
