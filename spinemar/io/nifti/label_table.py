"""The label table in the extension of a NIfTI header, as TotalSegmentator and workbench write it.

References
----------
NIfTI-1 data format, "extended header"; CIFTI/GIFTI label tables (`<Label Key="5">liver</Label>`).
"""

from __future__ import annotations

import gzip
import html
import re
import struct
import zlib
from pathlib import Path

_HEADER, _START = 348, 352
_MAX_BYTES = 4 << 20
# A pattern, not an XML parser: nothing in such a text can then unfold to gigabytes.
_LABEL = re.compile(
    r"<Label\s[^>]*?\bKey=\"(\d{1,5})\"[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]{1,200})", re.IGNORECASE
)


def label_table(path: Path) -> dict[int, str]:
    """Return names by label value; empty where the file holds none.

    `path` is a NIfTI-1 file whose header was checked.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
            raw = stream.read(_START)
            order = "<" if raw[:4] == b"\x5c\x01\x00\x00" else ">"
            end = int(struct.unpack(f"{order}f", raw[108:112])[0])
            if len(raw) < _START or raw[_HEADER] == 0 or not end > _START:
                return {}
            text = stream.read(min(end - _START, _MAX_BYTES)).decode("utf-8", errors="replace")
    except (OSError, EOFError, zlib.error, struct.error, ValueError):
        return {}
    found = {int(key): html.unescape(name).strip() for key, name in _LABEL.findall(text)}
    return {key: name for key, name in found.items() if key and name}
