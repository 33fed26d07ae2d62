"""DICOM series: read as one volume, written as a derived series."""
