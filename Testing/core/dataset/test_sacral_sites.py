"""Landmarks that end at L5 get S1 from the planner, where it does not doubt it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spinemar.dataset.sampling.patients import spine_below, with_sacrum
from spinemar.errors import InputError
from spinemar.implants.catalogue import load_catalogue
from spinemar.planning.constructs.assemble import construct_from_pedicles
from spinemar.planning.grades.gertzbein_robbins import grade_plan
from spinemar.planning.trajectories.sites import sites_from_frames
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.segmentation import segment
from Testing.core.spine.sacrum_phantom import phantom


@pytest.fixture(scope="module")
def patient():
    made = phantom()
    spine = frames_from_labels(made.labels, made.ct)
    return made, spine, sites_from_frames(spine.vertebrae[:2])


def with_s1(sites, ct):
    return with_sacrum(sites, spine_below(sites, ct))


def levels(sites):
    return [site.level for site in sites]


def test_s1_follows_l5(patient, monkeypatch):
    made, spine, sites = patient
    monkeypatch.setattr(segment, "segment_spine", lambda *_, **__: spine)
    found = with_s1(sites, made.ct)
    assert levels(found) == ["L4", "L4", "L5", "L5", "S1", "S1"]
    plan = construct_from_pedicles(found, load_catalogue())
    assert {rod.side: len(rod.screw_ids) for rod in plan.rods} == {"left": 3, "right": 3}
    graded = grade_plan(plan, spine)
    assert {graded.screw(f"S1-{side}").grade.letter for side in ("left", "right")} <= {"A", "B"}


def doubted(spine):
    *others, sacrum = spine.vertebrae
    agreement = replace(sacrum.agreement, doubts=("Its labels lie 5 mm off the bone.",))
    return (*others, replace(sacrum, agreement=agreement))


def elsewhere(spine):
    upper, last, sacrum = spine.vertebrae
    return (
        upper,
        replace(last, body_centre_ras=last.body_centre_ras + np.array([0, 0, 34.0])),
        sacrum,
    )


@pytest.mark.parametrize(
    "change",
    [
        doubted,
        elsewhere,
        lambda spine: spine.vertebrae[:2],
        lambda spine: (*spine.vertebrae[:2], replace(spine.vertebrae[2], cut_off=True)),
        lambda spine: (*spine.vertebrae[:2], replace(spine.vertebrae[2], confidence=0.4)),
        lambda spine: (*spine.vertebrae[:2], replace(spine.vertebrae[2], agreement=None)),
    ],
    ids=["labels in doubt", "another L5", "no S1", "cut off", "unsure", "not compared"],
)
def test_a_doubtful_sacrum_adds_nothing(patient, monkeypatch, change):
    made, spine, sites = patient
    changed = replace(spine, vertebrae=change(spine))
    monkeypatch.setattr(segment, "segment_spine", lambda *_, **__: changed)
    assert with_s1(sites, made.ct) == sites


def test_a_spine_that_is_not_found_adds_nothing(patient, monkeypatch):
    made, _, sites = patient

    def none(*_, **__):
        raise InputError("No spine.", "Load another CT.")

    monkeypatch.setattr(segment, "segment_spine", none)
    assert with_s1(sites, made.ct) == sites


def test_other_landmarks_are_taken_as_they_are(patient, monkeypatch):
    made, spine, sites = patient
    calls: list[int] = []
    monkeypatch.setattr(segment, "segment_spine", lambda *_, **__: calls.append(1))
    whole = sites_from_frames(spine.vertebrae)
    assert with_s1(whole, made.ct) == whole
    assert with_s1(sites[:2], made.ct) == sites[:2]
    assert not calls
    assert np.isfinite(whole[-1].entry).all()
