"""A DICOM header as it can be written again: every element that cannot is mended or left out.

Real headers hold private elements of the wrong length, numbers that are words, and texts of
another character set than they say. A viewer passes over them; a writer must not stop at them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spinemar.errors import InputError
from spinemar.io.dicom.pydicom_versions import is_big_endian, understood

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

_WORDS = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}
_LEFT_OUT_GROUPS = (0x0000, 0x0002, 0x7FE0, 0xFFFC)
_LONGEST_SHORT_TEXT = 64


def read_plain_header(path: Path) -> Dataset:
    """Read a header, without pixels, as elements that explicit little endian can hold.

    Parameters
    ----------
    path : Path
        A DICOM file, with DICOM's mark or without.

    Returns
    -------
    pydicom.dataset.Dataset
        Texts keep their bytes and the character set that goes with them. Private elements that
        cannot be understood are kept as text or as unknown bytes, or left out; standard ones
        become empty.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            return _plain(header, is_big_endian(header))
    except Exception as error:  # pydicom has no family of errors for damaged files
        raise InputError(
            f"{path.name} of the source series cannot be read.", "Load the series again."
        ) from error


def text_of(header: Dataset, keyword: str) -> str:
    """Return a value as one line of text, "" where there is none; several become one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = header.get(keyword)
        except Exception:  # whatever pydicom makes of a damaged value
            return ""
    if value is None:
        return ""
    # A person's name can be walked through, too, letter by letter.
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    parts = value if several else [value]
    return " ".join(" ".join(str(part) for part in parts).replace("\\", " ").split())


def _plain(source: Dataset, big: bool) -> Dataset:
    from pydicom.dataset import Dataset

    plain = Dataset()
    for tag in sorted(source.keys()):
        if tag.element == 0 or tag.group in _LEFT_OUT_GROUPS:
            continue
        element = _plain_element(source, tag, big)
        if element is not None:
            plain[tag] = element
    return plain


def _plain_element(source: Dataset, tag: BaseTag, big: bool) -> DataElement | RawDataElement | None:
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import DataElement

    raw = source.get_item(tag)
    try:
        return _understood(source, tag, raw, big)
    except Exception:  # pydicom raises whatever its converters raise
        if tag.is_private:
            return None if big else _unknown(tag, getattr(raw, "value", None))
        try:
            return DataElement(tag, dictionary_VR(tag), None)
        except KeyError:
            return None


def _understood(
    source: Dataset, tag: BaseTag, raw: Any, big: bool
) -> DataElement | RawDataElement | None:
    """Convert an element and try to write it."""
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.filewriter import correct_ambiguous_vr_element
    from pydicom.sequence import Sequence
    from pydicom.valuerep import AMBIGUOUS_VR, CUSTOMIZABLE_CHARSET_VR

    element = source[tag]
    if element.VR == "SQ":
        return DataElement(tag, "SQ", Sequence([_plain(item, big) for item in element.value]))
    if element.VR in AMBIGUOUS_VR:
        element = correct_ambiguous_vr_element(element, source, not big)
    if big and element.VR == "UN":
        return None  # nobody knows which of its bytes belong together
    if big and element.VR in _WORDS and element.value:
        swapped = np.frombuffer(element.value, f">u{_WORDS[element.VR]}").byteswap().tobytes()
        element = DataElement(tag, element.VR, swapped)
    if isinstance(raw, RawDataElement) and element.VR in CUSTOMIZABLE_CHARSET_VR:
        value = raw.value or b""
        value += b" " * (len(value) % 2)
        _try_to_write(element)
        return raw._replace(VR=element.VR, value=value, length=len(value), is_implicit_VR=False)
    _try_to_write(element)
    return element


def _unknown(tag: BaseTag, value: Any) -> DataElement | None:
    """Keep a private element that its dictionary misunderstands: as text, else as bytes."""
    from pydicom.dataelem import DataElement, RawDataElement

    if not isinstance(value, bytes):
        return None
    text = value.rstrip(b"\0 ")
    if text and all(32 <= byte < 127 for byte in text):
        # A backslash would part it into several values.
        form = "LO" if len(text) <= _LONGEST_SHORT_TEXT and b"\\" not in text else "UT"
        return DataElement(tag, form, text.decode("ascii"))
    padded = value + b"\0" * (len(value) % 2)
    # Readers look the element up again, and would stumble where we did.
    understood(RawDataElement(tag, "UN", len(padded), padded, 0, False, True))
    return DataElement(tag, "UN", padded)


def _try_to_write(element: DataElement) -> None:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_data_element

    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_data_element(stream, element)
