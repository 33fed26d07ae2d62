"""A training run's settings, read from YAML with every key checked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinemar.errors import InputError
from spinemar_training.lightning.schedule import Budget
from spinemar_training.simulate.slabs import SlabSettings


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
    widening_bins : int
        Bins by which the lost-ray trace is widened, in joint training and in the manifest.
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
    widening_bins: int = 0
    residual_share: float = 1.0
    slabs: SlabSettings = field(default_factory=SlabSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    budget: Budget = field(default_factory=lambda: Budget(max_steps=20000))
    prior: NetworkSettings = NetworkSettings((64, 96, 144, 192, 192), (2, 2, 2, 2, 2))
    generator: GeneratorSettings = GeneratorSettings((32, 64, 96, 128, 128), (1, 1, 2, 2, 2))
    grid: tuple[int, int] | None = (512, 640)
    crop_px: int = 384
    validation_slabs: int = 40
    options: dict[str, Any] = field(default_factory=dict)


def _build(kind: type, values: dict[str, Any]) -> Any:
    known = {f.name: f for f in dataclasses.fields(kind)}
    unknown = set(values) - set(known)
    if unknown:
        raise InputError(
            f"Unknown settings for {kind.__name__}: {', '.join(sorted(unknown))}.",
            f"It has {', '.join(sorted(known))}.",
        )
    built = {}
    for name, value in values.items():
        default = known[name]
        sample = (
            default.default_factory()
            if default.default_factory is not dataclasses.MISSING
            else default.default
        )
        if dataclasses.is_dataclass(sample) and isinstance(value, dict):
            built[name] = _build(type(sample), value)
        elif isinstance(value, list):
            built[name] = tuple(value)
        else:
            built[name] = value
    return kind(**built)


def load_settings(path: Path) -> RunSettings:
    """Read a run's YAML file; anything wrong with it is an `InputError`."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
        settings: RunSettings = _build(RunSettings, values)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise InputError(
            f"The settings {path} cannot be read ({type(error).__name__}).",
            "Give a YAML file like those of Training/configs.",
        ) from error
    return settings
