"""Configurations of the studies: YAML with every key checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

SAMPLE = "sample"
"""As a CT's path: the sample CT that `spinemar sample-data` fetches."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class PatientSource:
    """Where a patient comes from.

    Parameters
    ----------
    ct : str
        Path of the CT, or "sample".
    landmarks : str
        Path of its pedicle landmarks (Resources/Landmarks).
    levels : tuple of str
        Levels to instrument; empty for all.
    """

    ct: str
    landmarks: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class CollectionSettings:
    """Scans that several studies share.

    Parameters
    ----------
    patients : tuple of PatientSource
        None of them trained on.
    scenes : int
        Scenes of each patient.
    seed : int
    metals : tuple of str
        Taken in turn.
    scales : tuple of str
        HU scales, taken in turn.
    spread : float
        Scale of the surgeons' variation, see `planning.variation.Spread`.
    views : int
        Views of the simulated scan.
    geometry : str
        Of the simulated scanner.
    models : tuple of str
        Manifests beside the shipped one, each another method: manifest-NAME.json, or folders.
    """

    patients: tuple[PatientSource, ...]
    scenes: int = 8
    seed: int = 9000
    metals: tuple[str, ...] = ("Ti-6Al-4V", "Ti-6Al-4V", "CoCrMo", "316L")
    scales: tuple[str, ...] = ("12-bit", "12-bit", "extended")
    spread: float = 0.3
    views: int = 720
    geometry: str = "parallel"
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class RobustnessSettings:
    """One condition changed at a time.

    Parameters
    ----------
    bank : CollectionSettings
        Scenes and scanner of the base condition.
    sweeps : dict of str to list
        Values by the name of a sweep of `conditions.SWEEPS`.
    """

    bank: CollectionSettings
    sweeps: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RealCase:
    """A real scan with metal, without truth.

    Parameters
    ----------
    name : str
    ct : str
        Path.
    implant : str
        What the metal is.
    threshold_hu : float, optional
        By default metal is found automatically.
    """

    name: str
    ct: str
    implant: str
    threshold_hu: float | None = None


@dataclass(frozen=True)
class RealSettings:
    """Real scans to look at."""

    cases: tuple[RealCase, ...]


@dataclass(frozen=True)
class RegressionSettings:
    """The frozen subset that guards the shipped model.

    Parameters
    ----------
    bank : CollectionSettings
        Few scenes of the sample CT, so that the test runs everywhere.
    """

    bank: CollectionSettings


@dataclass(frozen=True)
class PlacementSettings:
    """The founding claim: what differs is where the metal of the training pairs was.

    Parameters
    ----------
    store : str
        Made by `spinemar dataset make`.
    pairs : int
        Training pairs of every arm.
    seeds : tuple of int
    steps, batch_size : int
    learning_rate : float
    widths, blocks : tuple of int
        Of the small prior.
    crop_px : int
        Side of the crops at the prior's own pixel size.
    patients : tuple of PatientSource
        Unseen ones, to be scored on.
    cases_per_group : int
        Foreign cases of each patient, metal and HU scale.
    case_seed : int
    scenes : str
        Configuration of scenes in parallel beam to score too; empty for none.
    metal : {"as drawn", "equal"}
        Whether each arm takes the first pairs of its placement, with the metal that it brings,
        or pairs that are alike in the amount of metal and of lost rays.
    judge : str
        Folder of the judge's cases to score too (Docs/judge.md says how they are made); empty
        for none.
    """

    store: str
    patients: tuple[PatientSource, ...]
    pairs: int = 120
    seeds: tuple[int, ...] = (1, 2, 3)
    steps: int = 700
    batch_size: int = 4
    learning_rate: float = 1.5e-3
    widths: tuple[int, ...] = (32, 48, 64, 96, 128)
    blocks: tuple[int, ...] = (1, 1, 1, 1, 1)
    crop_px: int = 256
    cases_per_group: int = 2
    case_seed: int = 500
    scenes: str = ""
    metal: Literal["as drawn", "equal"] = "as drawn"
    judge: str = ""


@dataclass(frozen=True)
class MeasuredSettings:
    """Networks that see the rest of the measured lost rays.

    Parameters
    ----------
    patients : tuple of PatientSource
        Training patients.
    work : str
        Folder of scans, prepared slices and weights.
    scans : int
    seed : int
    seconds : float
        Of training with the loss of pictures and findings, by the clock.
    learning_rate, contrast_weight : float
        See `spinemar_study.measured.training.TrainingSettings`.
    lambdas : tuple of float
        Of the games with a critic of pictures, each from the weights of that training.
    critic_seconds : float
        Of each.
    """

    patients: tuple[PatientSource, ...]
    work: str = "runs/measured"
    scans: int = 160
    seed: int = 10000
    seconds: float = 1000.0
    learning_rate: float = 4e-4
    contrast_weight: float = 0.3
    lambdas: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0)
    critic_seconds: float = 180.0
