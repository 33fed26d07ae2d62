"""What counts as metal and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from spinemar.errors import CancelledError, GeometryError, InputError
from spinemar.mar.segmentation.metal import segment_metal
from spinemar.progress import CancelToken
from spinemar.volume import CTVolume


@pytest.mark.parametrize("material", ["Ti-6Al-4V", "316L", "CoCrMo"])
@pytest.mark.parametrize("scale", ["12-bit", "extended"])
def test_screws_and_rods_are_found_whole(scan, material, scale) -> None:
    case = scan(material, scale)
    mask = segment_metal(case.volume).mask
    true = case.fraction > 0.5
    assert mask[true].mean() > 0.97  # nothing of the metal is missed
    # What is added lies at the rim; steel blooms, and its brightest streaks look like metal.
    if material == "Ti-6Al-4V":
        rim = np.stack([ndimage.binary_dilation(m, iterations=2) for m in true])
        assert not (mask & ~rim).any()
    assert mask.sum() < 2.5 * true.sum()


def test_a_clean_patient_has_no_metal(clean) -> None:
    result = segment_metal(clean)
    assert not result.mask.any()
    assert result.source == "automatic"


def _with(clean, millimetres, place, hu_of_distance):
    """Insert a ball whose HU depends on the distance from its centre in mm, with the CT's noise."""
    z, y, x = millimetres()
    distance = np.sqrt((z - place[0]) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2)
    values = hu_of_distance(distance)
    noise = np.random.default_rng(1).normal(0.0, 12.0, values.shape)
    hu = np.where(np.isnan(values), clean.hu, np.minimum(values + noise, 3071.0))
    return CTVolume(hu.astype(np.float32), clean.ijk_to_ras)


@pytest.mark.parametrize(
    ("what", "hu_of_distance"),
    [
        ("enamel", lambda d: np.where(d < 5, 2750.0 + 120 * np.sin(9 * d), np.nan)),
        ("dense cortex", lambda d: np.where((d > 4) & (d < 8), 2000.0, np.nan)),
        ("dilute contrast", lambda d: np.where(d < 6, 1400.0, np.nan)),
        # Saturates in its middle and fades over millimetres, as in a great vein.
        ("dense contrast", lambda d: np.where(d < 9, 3500.0 - 260.0 * d, np.nan)),
        ("a single hot voxel", lambda d: np.where(d < 1.0, 3071.0, np.nan)),
    ],
)
def test_what_is_bright_but_no_metal_does_not_count(clean, millimetres, what, hu_of_distance):
    volume = _with(clean, millimetres, (1.0, 2.0, 20.0), hu_of_distance)
    assert not segment_metal(volume).mask.any(), what


def test_table_and_what_lies_on_it_do_not_count(clean, millimetres) -> None:
    _, y, x = millimetres()
    rail = (np.abs(y - 84) < 3) & (np.abs(np.abs(x) - 50) < 4)
    volume = CTVolume(np.where(rail, 3071.0, clean.hu), clean.ijk_to_ras)
    assert not segment_metal(volume).mask.any()
    assert not segment_metal(volume, 2000.0).mask.any()


def test_faint_ends_of_an_implant_belong_to_it(scan) -> None:
    """The last slice of a screw is dim by partial volume, but connected."""
    case = scan("Ti-6Al-4V")
    hu = case.truth.hu.copy()
    screw = np.zeros(hu.shape[1:], bool)
    screw[60:68, 50:58] = True
    hu[1:4, screw] = 3071.0
    noise = np.random.default_rng(1).normal(0.0, 12.0, 64)
    hu[4, screw] = 2700.0 + noise  # above the mask threshold, below a core
    volume = CTVolume(hu, case.volume.ijk_to_ras)
    mask = segment_metal(volume).mask
    assert mask[1:5, screw].all()
    alone = hu.copy()
    alone[1:4, screw] = 40.0
    assert not segment_metal(CTVolume(alone, case.volume.ijk_to_ras)).mask.any()


def test_a_fixed_threshold_is_taken_at_its_word(scan) -> None:
    case = scan("Ti-6Al-4V")
    result = segment_metal(case.volume, 2000.0)
    assert result.threshold_hu == 2000.0
    assert result.source == "threshold"
    np.testing.assert_array_equal(result.mask, case.volume.hu >= 2000.0)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_axis_order_does_not_matter(scan, order) -> None:
    case = scan("Ti-6Al-4V")
    # Columns of the affine belong to i, j, k: reverse of the array's axes.
    columns = [2 - axis for axis in order][::-1]
    affine = case.volume.ijk_to_ras.copy()
    affine[:, :3] = case.volume.ijk_to_ras[:, columns]
    turned = CTVolume(case.volume.hu.transpose(order), affine)
    expected = segment_metal(case.volume).mask.transpose(order)
    np.testing.assert_array_equal(segment_metal(turned).mask, expected)


def test_metal_everywhere_is_refused(clean) -> None:
    with pytest.raises(InputError, match="Raise the metal threshold"):
        segment_metal(clean, -50.0)
    with pytest.raises(InputError, match="makes no sense"):
        segment_metal(clean, float("nan"))


def test_oblique_slices_are_refused_and_cancel_is_heard(clean) -> None:
    angle = np.radians(40)
    turn = np.eye(4)
    turn[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    with pytest.raises(GeometryError, match="off axial"):
        segment_metal(CTVolume(clean.hu, turn @ clean.ijk_to_ras))
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        segment_metal(clean, cancel=token)


ENDS = (2976.0, 2900.0, 2700.0, 2500.0, 2200.0, 2047.0)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("material", ["Ti-6Al-4V", "316L", "CoCrMo"])
def test_metal_is_found_by_its_flat_top_where_the_scale_ends_lower(scan, material, end) -> None:
    case = scan(material)
    low = case.volume.with_hu(np.minimum(case.volume.hu, np.float32(end)))
    found = segment_metal(low)
    true = case.fraction > 0.5
    assert found.mask[true].mean() > 0.97
    assert found.mask.sum() < 3.0 * true.sum()  # cobalt-chrome blooms above a lower threshold
    assert found.threshold_hu is not None
    assert found.threshold_hu < end


@pytest.mark.parametrize("end", [2000.0, 1800.0, 1500.0, 1200.0])
@pytest.mark.parametrize("material", ["Ti-6Al-4V", "316L"])
def test_a_scale_that_ends_in_bone_names_the_threshold_to_try(scan, material, end) -> None:
    case = scan(material)
    low = case.volume.with_hu(np.minimum(case.volume.hu, np.float32(end)))
    with pytest.raises(InputError, match=f"ends at {end:.0f} HU") as caught:
        segment_metal(low)
    assert f"threshold of {end - 50:.0f} HU" in caught.value.remedy
    mask = segment_metal(low, end - 50).mask  # what it names works
    assert mask[case.fraction > 0.5].mean() > 0.97


@pytest.mark.parametrize("end", [3071.0, *ENDS, 2000.0, 1500.0, 1000.0, 600.0, 300.0])
@pytest.mark.parametrize("bone", [0.0, 1500.0, 1900.0])
def test_a_clean_patient_on_a_lower_scale_has_no_metal(clean, millimetres, end, bone) -> None:
    """Dense bone below the end of the scale is no metal, wherever that is."""
    ball = lambda d: np.where(d < 6, min(bone, end - 100), np.nan)  # noqa: E731
    volume = _with(clean, millimetres, (1.0, 2.0, 20.0), ball) if bone else clean
    low = volume.with_hu(np.minimum(volume.hu, np.float32(end)))
    assert not segment_metal(low).mask.any()


@pytest.mark.parametrize("end", [2976.0, 2500.0, 2047.0])
def test_what_is_bright_on_a_lower_scale_but_not_flat_is_no_metal(clean, millimetres, end) -> None:
    """Contrast that reaches the end in its middle and fades over millimetres."""
    fades = lambda d: np.where(d < 9, 1.1 * end - 0.1 * end * d, np.nan)  # noqa: E731
    volume = _with(clean, millimetres, (1.0, 2.0, 20.0), fades)
    low = volume.with_hu(np.minimum(volume.hu, np.float32(end)))
    assert not segment_metal(low).mask.any()
