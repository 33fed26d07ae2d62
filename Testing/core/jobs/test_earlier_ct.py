"""Is it the same patient's, and from before? And which one belongs to a scan of a batch?"""

from __future__ import annotations

import dataclasses

import pytest

from spinemar.errors import InputError
from spinemar.io.dicom.identity import (
    SeriesIdentity,
    check_earlier_of_same_patient,
    identity_of,
)
from spinemar.jobs.batches.earlier import with_earlier
from spinemar.jobs.batches.items import BatchItem

SCAN = SeriesIdentity("P1", "20240301", "1.2.3", "1.2.3.4")
BEFORE = SeriesIdentity("P1", "20230105", "1.2.9", "1.2.9.1")


def _with(one, **changes):
    return dataclasses.replace(one, **changes)


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        (_with(BEFORE, patient_id="P2"), "another patient ID"),
        (_with(BEFORE, study_date="20240302"), "later than the scan"),
        (_with(BEFORE, series_uid=SCAN.series_uid), "the scan itself"),
    ],
)
def test_what_contradicts_is_refused(earlier, why):
    with pytest.raises(InputError, match=why):
        check_earlier_of_same_patient(SCAN, earlier)


@pytest.mark.parametrize(
    "earlier",
    [
        BEFORE,
        _with(BEFORE, study_date=SCAN.study_date),
        _with(BEFORE, study_date="", patient_id=""),
        None,
    ],
)
def test_what_is_not_stated_contradicts_nothing(earlier):
    check_earlier_of_same_patient(SCAN, earlier)


def test_an_identity_does_not_show_the_patient():
    assert "P1" not in repr(SCAN)


def test_a_batch_takes_the_latest_from_before_of_the_same_patient(tmp_path, write_series):
    def made(name, patient, date):
        series = f"1.2.{sum(map(ord, name))}"
        return write_series(name, series=series, PatientID=patient, StudyDate=date)

    scan = made("scan", "P1", "20240301")
    shelf = tmp_path / "shelf"
    made("shelf/old", "P1", "20200101")
    wanted = made("shelf/before", "P1", "20230105")
    made("shelf/after", "P1", "20240601")
    made("shelf/other", "P2", "20230901")
    found = identity_of(scan)
    assert found is not None
    assert (found.patient_id, found.study_date) == ("P1", "20240301")
    (item,) = with_earlier([BatchItem(scan, tmp_path / "out.nrrd")], [shelf])
    assert item.earlier == wanted
    nobody = made("nobody", "P3", "20240301")
    (item,) = with_earlier([BatchItem(nobody, tmp_path / "out.nrrd")], [shelf])
    assert item.earlier is None


def test_folders_that_hold_nothing_are_refused(tmp_path):
    item = BatchItem(tmp_path / "scan.nrrd", tmp_path / "out.nrrd")
    assert with_earlier([item], []) == (item,)
    with pytest.raises(InputError, match="does not exist"):
        with_earlier([item], [tmp_path / "nowhere"])
    with pytest.raises(InputError, match="whose it is"):
        with_earlier([item], [tmp_path])
