"""`spinemar find-implants` and its job on a drawn patient."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spinemar.jobs.registry import function_of
from spinemar.planning.plans.plan_json import read_plan
from spinemar.progress import CancelToken, ignore_progress
from Testing.core.postop import patient
from Testing.core.postop.scan_files import write_operated


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operated")
    write_operated(folder)
    return folder


def _arguments(files):
    return ["find-implants", files / "scan.nrrd", "--corrected", files / "corrected.nrrd",
            "--labels", files / "labels.nrrd", "--naming", "verse"]  # fmt: skip


def test_screws_are_written_as_a_plan(spinemar, files):
    run = spinemar(*_arguments(files), "-o", files / "found.json", "--json")
    assert run.code == 0
    plan = read_plan(files / "found.json")
    assert {screw.id for screw in plan.screws} == {s.id for s in patient.operated().screws}
    assert len(plan.rods) == 2
    assert "L1-left: " in plan.notes
    told = {screw["id"]: screw for screw in run.json["screws"]}
    for screw in plan.screws:
        assert screw.grade is not None
        assert told[screw.id]["best"] <= screw.grade.letter <= told[screw.id]["worst"]
        assert told[screw.id]["bone"] == "labels"
    again = spinemar(*_arguments(files), "-o", files / "found.json")
    assert again.code == 2
    assert "exists already" in again.err


def test_the_implants_are_written_as_a_dicom_segmentation(spinemar, files):
    from spinemar.io.segmentations.dicom_seg import read_dicom_segmentation

    run = spinemar(*_arguments(files), "-o", files / "segmented.json", "--json",
                   "--segmentation", files / "found.dcm")  # fmt: skip
    assert run.code == 0
    assert run.json["files"]["segmentation"] == str(files / "found.dcm")
    names = {one.name for one in read_dicom_segmentation(files / "found.dcm").segments}
    assert {"screw L1 left", "screw T12 right"} <= names
    assert len(names) == 8  # six screws and two rods
    again = spinemar(*_arguments(files), "-o", files / "other.json",
                     "--segmentation", files / "found.dcm")  # fmt: skip
    assert again.code == 2
    assert not (files / "other.json").exists()
    drawn = spinemar("voxelize", files / "segmented.json", files / "scan.nrrd",
                     "-o", files / "drawn.dcm", "--json")  # fmt: skip
    assert set(drawn.json["volume_mm3"]) == names


@pytest.mark.slow  # renders in software
def test_report_and_table(spinemar, files):
    pytest.importorskip("vtkmodules")
    run = spinemar(*_arguments(files), "-o", files / "reported.json", "--report", files / "report")
    assert run.code == 0
    assert "certain" in run.out or "between" in run.out
    page = (files / "report" / "plan.html").read_text(encoding="utf-8")
    assert "L1-left: " in page
    assert page.count("before the correction") == 6
    assert (files / "report" / "implants.csv").read_text().count("\n") == 7


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--plan", "none.json"], "need the earlier CT"),
        (["--earlier-labels", "none.nrrd"], "need the earlier CT"),
        (["--screw-model", "none"], "no screw 'none'"),
        (["--material", "wood"], "not made of wood"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(spinemar, files, extra, words):
    run = spinemar(*_arguments(files), "-o", files / "refused.json", *extra)
    assert run.code == 2
    assert words in " ".join(run.err.split())
    assert not (files / "refused.json").exists()


def test_a_ct_without_metal_is_refused(spinemar, files):
    run = spinemar("find-implants", files / "corrected.nrrd", "--labels", files / "labels.nrrd",
                   "--corrected", files / "labels.nrrd", "-o", files / "n.json")  # fmt: skip
    assert run.code == 2
    assert not (files / "n.json").exists()


def test_the_job_answers_like_the_command(files, tmp_path):
    geometry = patient.grid((0.8, 0.8, 2.5))
    from spinemar.io import read_labels
    from spinemar.spine.anatomy.frames import frames_from_labels
    from spinemar.spine.serial import spine_to_json

    spine = frames_from_labels(read_labels(files / "labels.nrrd"), naming="verse")
    (tmp_path / "frames.json").write_text(spine_to_json(spine), encoding="utf-8")
    np.save(tmp_path / "labels.npy", spine.labels.labels)
    job = {
        "input": str(files / "scan.nrrd"),
        "corrected": str(files / "corrected.nrrd"),
        "labels": {"npy": str(tmp_path / "labels.npy"),
                   "ijk_to_ras": geometry.ijk_to_ras.tolist()},
        "frames": str(tmp_path / "frames.json"),
        "plan_output": str(tmp_path / "plan.json"),
        "table_output": str(tmp_path / "table.csv"),
        "frames_output": str(tmp_path / "frames-out.json"),
        "labels_output": str(tmp_path / "labels-out.npy"),
    }  # fmt: skip
    answer = function_of("find-implants")(job, ignore_progress, CancelToken())
    json.dumps(answer)
    assert len(answer["screws"]) == 6
    assert len(read_plan(tmp_path / "plan.json").screws) == 6
    assert (tmp_path / "table.csv").read_text().count("\n") == 7
    assert (tmp_path / "frames-out.json").exists()
    assert np.load(tmp_path / "labels-out.npy").shape == geometry.shape
