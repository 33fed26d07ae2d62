"""What both modules of the extension share: volumes as arrays, guards, packages.

The other module's library lies beside this one where the extension is installed, and in its own
folder in the source tree.
"""

import sys
from pathlib import Path

for _folder in Path(__file__).resolve().parents[1:3]:
    for _candidate in (_folder, _folder / "MetalArtifactReduction"):
        _there = (_candidate / "MetalArtifactReductionLib" / "__init__.py").is_file()
        if _there and str(_candidate) not in sys.path:
            sys.path.append(str(_candidate))

from MetalArtifactReductionLib import dependencies  # noqa: E402
from MetalArtifactReductionLib.guards import checkInput, likelyInput, sentence  # noqa: E402
from MetalArtifactReductionLib.logic import INSTANCE_UIDS, sourceFiles  # noqa: E402
from MetalArtifactReductionLib.volumes import (  # noqa: E402
    arrayOf,
    copyPlace,
    copyWindow,
    geometryOf,
    ijkToRas,
    setArray,
    setWindow,
)

__all__ = [
    "INSTANCE_UIDS",
    "arrayOf",
    "checkInput",
    "copyPlace",
    "copyWindow",
    "dependencies",
    "geometryOf",
    "ijkToRas",
    "likelyInput",
    "sentence",
    "setArray",
    "setWindow",
    "sourceFiles",
]
