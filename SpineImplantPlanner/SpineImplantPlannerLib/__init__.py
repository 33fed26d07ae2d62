"""The parts of the module SpineImplantPlanner.

`session` holds what is planned, without Slicer; files about nodes turn it into MRML in a scene
that they are given; files that end in `step` are the panel's parts and the only ones with Qt.
"""
