"""From settings to scans, prepared slices, a generator, and its games with a critic."""

from __future__ import annotations

from pathlib import Path

import torch
from spinemar_training.data.prefill import FrozenPrior
from spinemar_training.runs.generator_runs import make_refinement
from spinemar_training.shipping.import_weights import weights_of_model

from spinemar_study.measured.critic import CriticSettings, train_with_critic
from spinemar_study.measured.generator import EvidenceGenerator
from spinemar_study.measured.samples import Samples, prepare
from spinemar_study.measured.scans import make_varied_scans
from spinemar_study.measured.training import Told, TrainingSettings, train
from spinemar_study.study_settings import MeasuredSettings


def run_measured(settings: MeasuredSettings, model: Path, told: Told = print) -> list[Path]:
    """Do everything that is not done yet; returns the files of weights.

    Parameters
    ----------
    settings : MeasuredSettings
    model : Path
        Manifest of a model with prior and generator: its prior is frozen, its generator the start.
    told : callable
        Takes lines of progress.
    """
    work = Path(settings.work)
    scans, prepared = work / "scans", work / "prepared"
    for path, made in make_varied_scans(settings.patients, scans, settings.scans, settings.seed):
        told(f"{path.name}: {'scanned' if made else 'was there'}")
    for path in prepare(scans, FrozenPrior(model), prepared):
        told(f"{path.name}: prepared")
    start = work / "start.pt"
    if not start.exists():
        weights_of_model(model, start)
    first = _trained(settings, start, prepared, scans, told)
    return [first, *_games(settings, first, prepared, scans, told)]


def _trained(
    settings: MeasuredSettings, start: Path, prepared: Path, scans: Path, told: Told
) -> Path:
    output = Path(settings.work) / "generator"
    if (output / "weights.pt").exists():
        return output / "weights.pt"
    return train(
        _generator(start),
        Samples(prepared, scans, 1),
        make_refinement("cpu"),
        TrainingSettings(settings.seconds, settings.learning_rate, settings.contrast_weight),
        output,
        told,
    )


def _games(
    settings: MeasuredSettings, start: Path, prepared: Path, scans: Path, told: Told
) -> list[Path]:
    found = []
    for weight in settings.lambdas:
        output = Path(settings.work) / f"critic-{weight:g}"
        path = output / "weights.pt"
        if not path.exists():
            told(f"lambda {weight:g}")
            path = train_with_critic(
                _generator(start),
                Samples(prepared, scans, 1),
                make_refinement("cpu"),
                CriticSettings(weight, settings.critic_seconds),
                output,
                told,
            )
        found.append(path)
    return found


def _generator(weights: Path) -> EvidenceGenerator:
    state = torch.load(weights, weights_only=True)["generator"]
    return EvidenceGenerator(state).to(memory_format=torch.channels_last)
