"""Metal of real scans that is no screw: a port under the skin, wires in a breastbone."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.io import read_volume
from spinemar.postop.bone import bone_from_corrected
from spinemar.postop.find import find_implants
from spinemar.postop.metal_share import MetalShare, metal_share_of
from Testing.benchmarks.earlier_ct.making.patients import ct_of

#: Wires are too thin for the automatic mask: brighter than bone they are shown all the same.
_WIRE_HU = 1800.0


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["cmb_crc_01068", "lungfcp_01_0001"])
def test_port_and_wires_are_no_screws(name: str) -> None:
    try:
        scan = read_volume(ct_of(name))
    except InputError as missing:
        pytest.skip(str(missing))
    found = metal_share_of(scan)
    share = np.maximum(found.share, (scan.hu >= _WIRE_HU).astype(np.float32))
    assert share.any()
    metal = MetalShare(share, scan.geometry)
    plan = find_implants(metal, bone_from_corrected(scan, metal), load_catalogue()).plan
    assert plan.screws == ()
    assert plan.rods == ()
