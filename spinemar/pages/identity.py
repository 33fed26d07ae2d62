"""Whose report it is, for every page of it; the patient's own data only where asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from spinemar import __version__

#: What stands on blank lines to be filled in by hand.
_BLANKS = ("Name", "ID", "Signature")
_HASH_LETTERS = 12


def content_hash(text: str) -> str:
    """Return the first letters of the SHA-256 of what a report shows, to compare by eye."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_HASH_LETTERS]


def readable_date(dicom_date: str) -> str:
    """Return a DICOM date as people write it; anything else as it is.

    Examples
    --------
    >>> readable_date("20240517"), readable_date("May")
    ('2024-05-17', 'May')
    """
    text = dicom_date.strip()
    if len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


@dataclass(frozen=True)
class Identity:
    """What the head of every page says.

    Parameters
    ----------
    what : str
        What the hash is of: "Plan" or "Result".
    content : str
        `content_hash` of it.
    series, study_date : str
        Series description and date of the study; empty where they are not known.
    patient : mapping of str to str
        The patient's data by what they are ("Name", "ID", "Born"); empty unless ticked.
    made_on : str
        The day on which the report was written.
    """

    what: str
    content: str
    series: str = ""
    study_date: str = ""
    patient: Mapping[str, str] = field(default_factory=dict)
    made_on: str = field(default_factory=lambda: date.today().isoformat())

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Pairs of name and value for the head of a page."""
        return (
            ("Series", self.series or "not known"),
            ("Study", self.study_date or "date not known"),
            (self.what, self.content),
            ("SpineMAR", __version__),
            ("Written", self.made_on),
        )

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """What is signed: pairs of a name and what stands on its line, "" for a blank one."""
        others = [(name, text) for name, text in self.patient.items() if name not in _BLANKS]
        return (*((name, self.patient.get(name, "")) for name in _BLANKS), *others)

    @property
    def sentence(self) -> str:
        """Say whether the report holds the patient's data."""
        if not self.patient:
            return (
                "This report holds no name or number of the patient: "
                "write them on the lines by hand."
            )
        return f"This report holds the patient's data, as ticked: {', '.join(self.patient)}."
