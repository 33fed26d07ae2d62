"""What a file is, told by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from spinemar.base.files.regular import open_regular


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises
    ------
    OSError, InputError
        If it cannot be read, or is no ordinary file.
    """
    digest = hashlib.sha256()
    with open_regular(path, f"file {path.name}") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
