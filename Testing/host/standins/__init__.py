"""Stand-ins for the Python parts of Slicer that the ``slicer-core`` wheel leaves out."""
