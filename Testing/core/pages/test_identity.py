"""Whose report it is: what the head of a page says, and what it never says unasked."""

from __future__ import annotations

import re

from spinemar import __version__
from spinemar.pages import template
from spinemar.pages.identity import Identity, content_hash

PATIENT = {"Name": "Roe^Jane", "ID": "12345", "Born": "1961-02-03"}


def framed(tmp_path, identity, number=2, count=5):
    path = tmp_path / "page.html.j2"
    path.write_text(
        "{% import 'frame.html.j2' as frame %}{{ frame.head(identity, number, count) }}"
        "{{ frame.foot(identity) }}<p>{{ identity.sentence }}</p>"
    )
    return template.render(path, {"identity": identity, "number": number, "count": count})


def test_a_page_says_of_what_it_is(tmp_path):
    one = Identity("Plan", "abc123", "Spine 1.0 B70", "2024-05-17", made_on="2026-08-01")
    page = framed(tmp_path, one)
    for text in ("Spine 1.0 B70", "2024-05-17", "abc123", __version__, "2026-08-01",
                 "page 2 of 5"):  # fmt: skip
        assert text in page


def test_lines_are_blank_unless_the_patients_data_are_wanted(tmp_path):
    page = framed(tmp_path, Identity("Plan", "abc"))
    assert re.findall(r'class="line">(\w+) <i>', page) == ["Name", "ID", "Signature"]
    assert "holds no name or number of the patient" in page


def test_wanted_data_stand_on_their_lines_and_the_page_says_so(tmp_path):
    page = framed(tmp_path, Identity("Plan", "abc", patient=PATIENT))
    for value in PATIENT.values():
        assert f"<b>{value}</b>" in page
    assert re.findall(r'class="line">(\w+) <i>', page) == ["Signature"]
    assert "Name, ID, Born" in page


def test_markup_in_a_series_description_stays_text(tmp_path):
    assert "<script>" not in framed(tmp_path, Identity("Plan", "abc", "<script>alert(1)</script>"))


def test_the_hash_tells_contents_apart():
    assert content_hash("a") == content_hash("a") != content_hash("b")
    assert len(content_hash("a")) == 12
