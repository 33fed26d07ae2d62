"""What may not come together in one store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from spinemar.dataset.storage.layout import InputFact
from spinemar.errors import InputError


def refuse_conflicts(
    inputs: Iterable[Sequence[InputFact]], splits: Sequence[Mapping[str, str]]
) -> None:
    """Refuse what would tear a patient between splits or leave a CT's name without its CT.

    Parameters
    ----------
    inputs : iterable of sequences of InputFact
        Of the stores, or of a store and of what is added. The same CT of the same patient may be
        in several.
    splits : sequence of mappings of patient to split
        Of each.

    Raises
    ------
    InputError
    """
    told: dict[str, str] = {}
    for patients in splits:
        for patient, split in patients.items():
            if told.setdefault(patient, split) != split:
                raise InputError(
                    f"Patient {patient} is in the {told[patient]} set of one and in the {split} "
                    "set of the other.",
                    "State the same split for both, or set it with `spinemar dataset split`.",
                )
    content: dict[str, InputFact] = {}
    person: dict[str, InputFact] = {}
    for group in inputs:
        for item in group:
            other = content.setdefault(item.name, item)
            if other.sha256 != item.sha256:
                raise InputError(
                    f"Two different CTs are called {item.name}.", "Rename one of the files."
                )
            other = person.setdefault(item.sha256, item)
            if other.patient != item.patient:
                raise InputError(
                    f"The CTs {other.name} of patient {other.patient} and {item.name} of patient "
                    f"{item.patient} are the same images.",
                    "Give one person one name.",
                )
