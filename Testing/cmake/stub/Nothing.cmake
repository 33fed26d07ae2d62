# Slicer generates package configuration here.
