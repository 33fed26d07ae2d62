"""The benchmark's tables say what its rows hold."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from spinemar.errors import InputError
from spinemar.planning.grades.bone import bone_field
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.volume import GridGeometry
from Testing.benchmarks.earlier_ct.making.posture import Posture
from Testing.benchmarks.postop.before import vertebrae_before
from Testing.benchmarks.postop.calibrate import calibration
from Testing.benchmarks.postop.kept import keep_rows, take_rows
from Testing.benchmarks.postop.page import tables
from Testing.benchmarks.postop.scans import METALS, all_specs, in_turn
from Testing.benchmarks.postop.score import CASES, Row
from Testing.benchmarks.postop.tallies import weighted_kappa
from Testing.benchmarks.postop.targets import targets_table
from Testing.benchmarks.postop.truth import patient_of
from Testing.core.postop import patient


def _row(true: str, letter: str, **others) -> Row:
    found = "L1-left" if letter else ""
    return Row("scan", CASES[0], "316L", 5.0, "L1-left", true, 1.0, found=found,
               entry=0.4, tip=0.6, angle_deg=1.0, diameter=-0.3, length=1.2, letter=letter,
               best=letter, worst=letter, **others)  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [(["AA", "BB", "CC"], 1.0), (["AE", "EA"], -1.0), (["AA", "AB", "BA", "BB"], 0.0)],
)
def test_kappa_is_agreement_beyond_chance(pairs, kappa):
    assert weighted_kappa([_row(*pair) for pair in pairs]) == pytest.approx(kappa)


def test_tables_count_what_was_missed_false_and_refused():
    too_rough = "Screw and bone are known too roughly here."
    rows = [_row("A", "A"), _row("B", "D"), _row("C", "-", reason=too_rough), _row("A", "")]
    rows.append(Row("scan", CASES[0], "316L", 5.0, "", found="T1-left"))
    lines = tables(rows).splitlines()
    place = next(line for line in lines if line.startswith("| steel | 1 |"))
    assert place.startswith("| steel | 1 | 4 | 3 | 1 | 0.4 (0.4) | 0.6 (0.6) |")
    grade = next(line for line in lines if line.startswith("| known vertebrae | 1 | 4 |"))
    assert grade.startswith(
        "| known vertebrae | 1 | 4 | 1 | 1 | 0 | 1 | 50 % | 50 % | 0 of 0 | 50 % | 2 | 50 % |"
    )
    assert "| B | 0 | 0 | 0 | 1 | 0 |" in lines
    assert "| known vertebrae | known too roughly | 1 |" in lines
    assert "uncorrected CT" not in "".join(lines)


def test_a_screw_of_doubtful_truth_counts_as_found_and_not_as_graded():
    rows = [_row("A", "A"), _row("", "D")]
    lines = tables(rows).splitlines()
    assert any(line.startswith("| steel | 1 | 2 | 2 | 0 |") for line in lines)
    grade = next(line for line in lines if line.startswith("| known vertebrae | 1 | 2 |"))
    assert grade.startswith("| known vertebrae | 1 | 2 | 0 | 0 | 1 | 0 | 100 % | 100 % |")


def test_the_correction_is_judged_on_the_same_scans_and_by_all_screws():
    alone = replace(_row("A", "B"), case=CASES[3], scan="other")
    with_it = [replace(_row("A", letter), case=CASES[3]) for letter in ("A", "-")]
    without = [replace(_row("A", letter), case=CASES[4]) for letter in ("C", "")]
    lines = tables([alone, *with_it, *without]).splitlines()
    assert "| corrected CT | 1 | 2 | 2 | 1 | 1 | 1 |" in lines
    assert "| uncorrected CT | 1 | 2 | 1 | 1 | 0 | 0 |" in lines


def test_breaches_are_told_apart_from_letters():
    """One near a limit, one far from it; the likeliest letter of a rough breach is another."""
    sure = replace(_row("B", "C"), true_breach=1.8, breach=2.1, fit_error=0.1, bone_error=0.0)
    rough = replace(_row("A", "B"), true_breach=-1.0, breach=0.4, fit_error=1.2, bone_error=1.6)
    lines = tables([sure, rough]).splitlines()
    # Too low by -0.3 and -1.4. Rough: A has 47 %, B 31 % of N(0.4, 2.0), so that A is exact.
    assert "| known vertebrae | 2 | -0.85 | 0.55 | 2 | 1 | 1 | 50 % |" in lines


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (
            "The segmentation of T12 cannot be right. Only 70 % of its labels' border lies on an "
            "edge of bone in the CT.",
            "labels do not agree with the CT",
        ),
        ("T11 is cut off by the volume's edge.", "cut off by the volume's edge"),
    ],
)
def test_labels_without_edges_are_not_cut_off_by_an_edge(reason, kind):
    assert f"| known vertebrae | {kind} | 1 |" in tables([_row("A", "-", reason=reason)])


@pytest.mark.parametrize("count", [6, 70])
def test_few_screws_are_not_divided_into_groups(count):
    rows = [replace(_row("A", "A"), screw=f"L1-left-{n}") for n in range(count)]
    assert ("| known vertebrae | steel | 70 |" in tables(rows)) == (count == 70)
    assert ("Grades by metal" in tables(rows)) == (count == 70)


def test_targets_say_plainly_what_is_not_met():
    good = [replace(_row("A", "A"), case=CASES[2], metal="CoCrMo") for _ in range(49)]
    missed = replace(_row("A", ""), case=CASES[2], metal="CoCrMo")
    large = replace(_row("E", "B"), case=CASES[2], true_breach=7.0)
    text = targets_table([*good, missed, large])
    assert "| titanium and cobalt-chrome found | earlier CT | at least 98 % | 98 % | yes |" in text
    assert (
        "| breaches of 4 mm or more called A or B | earlier CT | at most 0 | 1 | **no** |" in text
    )
    assert "| within one letter | earlier CT | at least 98 % | 98 % | yes |" in text
    assert "| grade exact | corrected CT | at least 65 % | - | not measured |" in text


def test_calibration_is_of_the_breach_and_its_error():
    rows = [_row("B", "B", breach=1.0 + off, fit_error=0.3, bone_error=0.4)
            for off in (-0.5, 0.5, -0.5, 0.5, -2.0)]  # fmt: skip
    line = calibration(rows).splitlines()[-1]
    # RMS of (0.5, 0.5, 0.5, 0.5, 2) is 1; without the fit's 0.3 the bone's is 0.954; 2 > 1.96 * 0.5
    assert line == "| known vertebrae | 5 | 0.40 | 1.00 | 0.95 | 0.40 | 80 % | 5 | 100 % |"


@pytest.mark.parametrize(
    ("scan", "whose"),
    [("crlm_1006-0-steel-2", "crlm_1006"), ("lidc_idri_0001-1-cobalt-0", "lidc_idri_0001"),
     ("own-test-03", "lidc_idri_0001"), ("xcist-validation-00", "crlm_1006")],
)  # fmt: skip
def test_scans_say_whose_they_are(scan, whose):
    assert patient_of(scan) == whose


def test_vertebrae_lie_in_the_earlier_ct_as_the_patient_lay_then():
    """Coarse labels carried onto a fine grid keep their surface, moved as the posture says."""
    labels = patient.labels_on(patient.grid((1.0, 1.0, 2.5)))
    body = np.eye(4)
    body[:3, 3] = (3.0, -6.0, 11.0)
    lattice = GridGeometry((2, 2, 2), np.diag([200.0, 200.0, 200.0, 1.0]))
    posture = Posture(body, lattice, np.zeros((3, 2, 2, 2), np.float32))
    found = vertebrae_before(labels, posture, patient.grid((0.8, 0.8, 1.0)))
    spine = frames_from_labels(labels, naming="verse")
    field = bone_field(labels, spine.vertebra("L1"))
    voxels = np.argwhere(found.labels == VERSE_IDS["L1"])[:, ::-1]
    later = found.geometry.to_ras(voxels.astype(float)) + body[:3, 3]
    held = later[later[:, 1] > -40.0]  # the field ends in the spinous process
    assert field.distance_mm(held).max() < 1.0
    volume = len(voxels) * 0.8 * 0.8
    wanted = (labels.labels == VERSE_IDS["L1"]).sum() * 2.5
    assert volume == pytest.approx(wanted, rel=0.03)
    cut = replace(labels, labels=labels.labels[20:])  # through the lowest vertebra
    kept = vertebrae_before(cut, posture, patient.grid((2.0, 2.0, 4.0)))
    assert set(np.unique(kept.labels)) == {0, VERSE_IDS["T12"], VERSE_IDS["L1"]}


def test_whoever_stops_early_has_scored_patients_and_metals_in_equal_shares(tmp_path):
    names = [spec.name for spec in all_specs(2)]
    assert len(set(names)) == 18
    for start in range(0, 18, 3):
        some = names[start : start + 3]
        assert {name.split("-")[2] for name in some} == set(METALS)
        assert sum(patient_of(name) == "crlm_1006" for name in some) == 1
    made = [tmp_path / name for name in (*sorted(names), "another")]
    assert [folder.name for folder in in_turn(made)] == [*names, "another"]


def test_rows_are_kept_with_their_code_and_taken_up_again(tmp_path):
    first, second, kept = tmp_path / "first", tmp_path / "second", tmp_path / "postop.json"
    (first / "rows").mkdir(parents=True)
    rows = [_row("B", "B", breach=1.0), replace(_row("A", ""), breach=float("nan"))]
    name = "own-test-01, known vertebrae.json"
    (first / "rows" / name).write_text(json.dumps([asdict(row) for row in rows]))
    with pytest.raises(InputError, match="which code"):
        keep_rows(first, "", kept)
    assert keep_rows(first, "abc1234", kept) == 1
    told = json.loads(kept.read_text(), parse_constant=pytest.fail)  # no NaN: JSON has none
    assert told["own-test-01, known vertebrae"]["code"] == "abc1234"
    with pytest.raises(InputError, match="abc1234"):  # a table of two codes is none
        take_rows(second, "def5678", kept)
    assert take_rows(second, "abc1234", kept) == 1
    again = [Row(**one) for one in json.loads((second / "rows" / name).read_text())]
    assert [str(row) for row in again] == [str(row) for row in rows]
    assert take_rows(second, "abc1234", kept) == 0
    (second / "rows" / name).write_text("[]")
    assert keep_rows(second, "def5678", kept) == 1
    assert json.loads(kept.read_text())["own-test-01, known vertebrae"]["rows"] == []
