"""A training run's settings, read from YAML with every key checked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from spinemar.base.json_records import build_record
from spinemar.base.json_text import known_ones, read_text
from spinemar.errors import InputError
from spinemar_training.lightning.schedule import Budget
from spinemar_training.simulate.slabs import SlabSettings

_T = TypeVar("_T")


@dataclass(frozen=True)
class NetworkSettings:
    """Width and depth of a U-Net, level by level."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class GeneratorSettings(NetworkSettings):
    """Of the generator; `sees_measured` as in `SinogramGenerator`."""

    sees_measured: bool = False


@dataclass(frozen=True)
class StreamSettings:
    """The buffer of simulated slabs."""

    capacity: int = 1600
    batch_size: int = 16
    renew_every: int = 4
    first_fill: int = 200
    window: int = 3


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out, and the weights of its losses.

    Parameters
    ----------
    log_every : int
        Steps between two lines of the curves.
    minutes, checkpoint_steps : float, int or None
        Time between checkpoints; with steps given, those instead.
    processes, nodes : int
    precision : str or None
        Lightning's name; by default bfloat16 where the device has it.
    residual_views : int or None
        Views at which the generator works; by default `RESIDUAL_VIEWS`.
    lambdas : tuple of float
        Weights that `sweep` tries.
    joint, sinogram, adversarial : mapping of str to float
        Keywords of `JointTraining`, `SinogramTraining` and `AdversarialTraining`.
    """

    log_every: int = 50
    minutes: float = 3.0
    checkpoint_steps: int | None = None
    processes: int = 1
    nodes: int = 1
    precision: str | None = None
    residual_views: int | None = None
    lambdas: tuple[float, ...] = ()
    joint: Mapping[str, float] = field(default_factory=dict)
    sinogram: Mapping[str, float] = field(default_factory=dict)
    adversarial: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSettings:
    """One training run.

    Parameters
    ----------
    patients, validation : tuple of str
        Prepared patients (`spinemar-train patient`) for the simulated stream.
    store : str
        Store of pairs to train from in place of the stream.
    prefilled, prefilled_validation : str
        Folders of prefilled slices (`spinemar-train prefill`): the generator alone is trained.
    patch : (views, bins)
        With `prefilled`: train on blocks of views about the trace; empty for whole slices.
    widening_mm : float
        By how much the lost-ray trace is widened, in joint training and in the manifest.
    grid : (rows, columns), optional
        Of the prior's window in joint training; null for one around the bodies of a batch.
    residual_share : float
        Share of the generator's residual that is exported, chosen by `residual-share`.
    """

    seed: int = 1
    patients: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    store: str = ""
    prefilled: str = ""
    prefilled_validation: str = ""
    patch: tuple[int, ...] = ()
    widening_mm: float = 0.0
    residual_share: float = 1.0
    slabs: SlabSettings = field(default_factory=SlabSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    budget: Budget = field(default_factory=lambda: Budget(max_steps=20000))
    prior: NetworkSettings = NetworkSettings((64, 96, 144, 192, 192), (2, 2, 2, 2, 2))
    generator: GeneratorSettings = GeneratorSettings((32, 64, 96, 128, 128), (1, 1, 2, 2, 2))
    grid: tuple[int, int] | None = (512, 640)
    crop_px: int = 384
    validation_slabs: int = 40
    options: RunOptions = RunOptions()


def load_settings(path: Path) -> RunSettings:
    """Read a run's YAML file.

    Raises
    ------
    InputError
        If it cannot be read, or an entry is unknown or of a wrong kind, however deep it lies.
    """
    settings = read_yaml(RunSettings, path)
    _check_options(settings.options)
    return settings


def read_yaml(kind: type[_T], path: Path) -> _T:
    """Read a YAML file as a dataclass, every entry checked.

    Raises
    ------
    InputError
        If it cannot be read, or an entry is unknown or of a wrong kind.
    """
    import yaml

    remedy = "Give a YAML file like those of Training/configs."
    try:
        values = yaml.safe_load(read_text(path, f"settings file {path.name}")) or {}
    except yaml.YAMLError as error:
        raise InputError(
            f"The settings {path} cannot be read ({type(error).__name__}).", remedy
        ) from error
    return build_record(kind, values, f"settings file {path.name}", remedy=remedy)


def _check_options(options: RunOptions) -> None:
    """Refuse a weight that the training it is meant for does not know."""
    from spinemar_training.lightning.adversarial import AdversarialTraining
    from spinemar_training.lightning.joint import JointTraining
    from spinemar_training.lightning.sinogram import SinogramTraining

    for name, training in (
        ("joint", JointTraining),
        ("sinogram", SinogramTraining),
        ("adversarial", AdversarialTraining),
    ):
        known = {
            n for n, p in inspect.signature(training).parameters.items() if p.annotation == "float"
        }
        unknown = sorted(set(getattr(options, name)) - known)
        if unknown:
            raise InputError(
                f"The settings' options.{name} holds an unknown entry {unknown[0]!r}.",
                known_ones(unknown[0], sorted(known)),
            )
