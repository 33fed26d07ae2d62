"""Curves of a spine whose endplates are tilted by known angles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinemar.implants.placement import Cage
from spinemar.planning.alignment.curves import alignment_of
from spinemar.planning.alignment.plates import measured_plates
from spinemar.planning.report.tables import alignment_rows
from spinemar.spine.labels.levels import level_range
from spinemar.spine.model import Endplate, VertebraFrame


def tilted(forwards=0.0, rightwards=0.0):
    """A unit vector that leans by so many degrees in the projections."""
    vector = np.array([np.tan(np.radians(rightwards)), np.tan(np.radians(forwards)), 1.0])
    return vector / np.linalg.norm(vector)


def spine(levels, lean, side=lambda n: 0.0):
    """Vertebrae whose endplates lean by functions of their place: n above, n + 0.8 below."""
    frames = []
    for n, level in enumerate(level_range(levels)):
        centre = np.array([0.0, 0.0, -32.0 * n])
        plates = {
            "superior": Endplate(centre + np.array([0, 0, 13.0]), tilted(lean(n), side(n))),
            "inferior": Endplate(
                centre - np.array([0, 0, 13.0]), tilted(lean(n + 0.8), side(n + 0.8))
            ),
        }
        frames.append(VertebraFrame(level, centre, np.eye(3), plates, centre, None, {}, 1.0))
    return tuple(frames)


def test_lordosis_kyphosis_and_discs():
    lumbar = alignment_of(spine("L1-L5", lambda n: -20.0 + 10.0 * n))
    assert lumbar.lordosis.degrees == pytest.approx(48.0)
    assert (lumbar.lordosis.upper, lumbar.lordosis.lower) == ("L1", "L5")
    assert lumbar.kyphosis is None
    assert lumbar.cobb is None
    assert lumbar.discs == pytest.approx({f"L{n}/L{n + 1}": 2.0 for n in range(1, 5)})
    thoracic = alignment_of(spine("T4-T12", lambda n: 20.0 - 5.0 * n))
    assert thoracic.kyphosis.degrees == pytest.approx(44.0)
    assert thoracic.lordosis is None


@pytest.mark.parametrize(("sign", "side"), [(1.0, "right"), (-1.0, "left")])
def test_cobb_finds_the_most_tilted_pair_and_the_convex_side(sign, side):
    # It leans away from the convexity above the apex, and towards it below.
    curved = spine("T8-L4", lambda n: 5.0, lambda n: sign * 15.0 * -np.cos(np.pi * n / 8.8))
    curve = alignment_of(curved).cobb
    assert curve.degrees == pytest.approx(30.0, abs=0.2)
    assert (curve.upper, curve.lower, curve.towards) == ("T8", "L4", side)


def test_an_inclined_patient_has_the_same_sagittal_curves():
    plain = spine("L1-L5", lambda n: -20.0 + 10.0 * n)
    turn = Rotation.from_euler("x", 17.0, degrees=True)
    leaning = tuple(
        replace(
            f,
            endplates={
                name: Endplate(turn.apply(p.point_ras.copy()), turn.apply(p.normal_ras.copy()))
                for name, p in f.endplates.items()
            },
        )
        for f in plain
    )
    assert alignment_of(leaning).lordosis.degrees == pytest.approx(48.0)


def cage(disc, lordosis):
    return Cage(id="cage", level=disc, centre=(0.0, 0.0, 0.0), right=(1.0, 0.0, 0.0),
                anterior=(0.0, 1.0, 0.0), width_mm=30.0, depth_mm=24.0, height_mm=10.0,
                lordosis_deg=lordosis)  # fmt: skip


def test_a_cage_gives_its_disc_its_own_lordosis_and_turns_what_is_above():
    frames = spine("L1-L5", lambda n: -20.0 + 10.0 * n)
    after = alignment_of(frames, [cage("L4/L5", 12.0)])
    assert after.discs["L4/L5"] == pytest.approx(12.0)
    assert after.discs["L3/L4"] == pytest.approx(2.0)
    assert after.lordosis.degrees == pytest.approx(48.0 + 10.0)
    both = alignment_of(frames, [cage("L4/L5", 12.0), cage("L2/L3", 0.0)])
    assert both.lordosis.degrees == pytest.approx(48.0 + 10.0 - 2.0)
    assert alignment_of(frames, [cage("L5/S1", 12.0)]) == alignment_of(frames)


def test_a_cage_levels_a_disc_that_leans_sideways():
    frames = spine("L4-L5", lambda n: 0.0, lambda n: 10.0 * n)
    before, after = alignment_of(frames), alignment_of(frames, [cage("L4/L5", 0.0)])
    assert before.cobb.degrees == pytest.approx(18.0)
    assert after.cobb.degrees == pytest.approx(16.0)


def test_cut_and_doubtful_vertebrae_are_left_out():
    frames = list(spine("L1-L5", lambda n: 10.0 * n))
    frames[4] = replace(frames[4], cut_off=True)
    assert alignment_of(frames).lordosis.lower == "L4"
    frames[0] = replace(frames[0], confidence=0.2)
    assert alignment_of(frames).lordosis is None
    assert alignment_of([]) == alignment_of([], [cage("L4/L5", 8.0)])


def test_the_table_tells_both_states():
    frames = spine("L1-L5", lambda n: -20.0 + 10.0 * n)
    rows = alignment_rows(frames, [cage("L4/L5", 12.0)])
    assert ("Lordosis L1 to L5", "48", "58") in rows
    assert ("Disc L4/L5", "2", "12") in rows
    # Without cages there is one state, and only discs with cages are listed.
    assert alignment_rows(frames, []) == [("Lordosis L1 to L5", "48", "-")]


def test_the_drawn_plates_are_those_that_are_measured():
    frames = spine("L1-L5", lambda n: -20.0 + 10.0 * n)
    plates = measured_plates(frames, [cage("L4/L5", 12.0)])
    assert [(p.level, p.end) for p in plates] == [("L5", "inferior"), ("L1", "superior")]
    assert [p.label for p in plates] == ["", "Lordosis L1 to L5: 48°, with cages 58°"]
    for plate in plates:
        frame = next(f for f in frames if f.level == plate.level)
        own = frame.endplates[plate.end]
        # Its corners lie in the endplate, more of them in front than behind.
        off = (plate.corners_ras - own.point_ras) @ own.normal_ras
        assert np.abs(off).max() < 1e-9
        forwards = (plate.corners_ras - own.point_ras)[:, 1]
        assert forwards.max() > 30.0
        assert forwards.min() > -22.0
    assert measured_plates(frames[:2]) == ()


def test_the_table_tells_how_high_a_disc_becomes():
    frames = spine("L4-L5", lambda n: 0.0)
    rows = alignment_rows(frames, [cage("L4/L5", 0.0)])
    assert ("Disc L4/L5, height in mm", "6", "10") in rows
