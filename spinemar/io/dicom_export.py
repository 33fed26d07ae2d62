"""The name under which scripts know `spinemar.io.dicom.export`."""

from spinemar.io.dicom.export import write_derived_series

__all__ = ["write_derived_series"]
