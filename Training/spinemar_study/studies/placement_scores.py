"""Score the placement study's priors on unseen patients, by several scanners, without a gate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spinemar_training.data.out_of_domain import OutOfDomainCase, load_cases, make_cases
from spinemar_training.networks.features import PIXEL_MM
from spinemar_training.networks.prior import PriorNetwork
from spinemar_training.run_settings import read_yaml

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.evaluation.metrics import rmse_hu
from spinemar.evaluation.regions import slice_regions
from spinemar.io import read_volume
from spinemar.mar.pipeline.slab import Slab
from spinemar_study.scenes.central_slice import CentralSlice
from spinemar_study.scenes.methods import OPEN_GATE, study_methods
from spinemar_study.scenes.scan_collection import ScanCollection
from spinemar_study.scenes.scenes import MIDDLE
from spinemar_study.statistics import Estimate, geometric
from spinemar_study.study_settings import (
    SAMPLE,
    CollectionSettings,
    PlacementSettings,
)

RINGS_MM = ((0.0, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, 40.0), (40.0, 400.0))

Float = NDArray[np.float32]
_METRICS = ("rmse_hu", "rmse_near_hu")
_COMPARED = (("realistic", "random"), ("mixed", "random"), ("realistic", "mixed"))
JUDGE = "XCIST"
"""As a geometry: scans that nobody trains on."""


class TorchPrior:
    """An inpainter that runs a prior network in PyTorch: no generator, no gate.

    Parameters
    ----------
    weights : Path
    settings : PlacementSettings
        With the network's architecture.
    """

    name = "generator"
    trace = "lost"
    neighbours = 1
    gate = OPEN_GATE

    def __init__(self, weights: Path, settings: PlacementSettings) -> None:
        self.network = PriorNetwork(settings.widths, settings.blocks)
        self.network.load_state_dict(torch.load(weights, weights_only=True)["prior"])
        self.network.eval().to(memory_format=torch.channels_last)

    def inpaint(self, slab: Slab) -> Float:
        """Fill the middle slice's lost rays with the prior's, matched beside the trace."""
        from spinemar.mar.pipeline.interpolation.normalized import matched_prior
        from spinemar.tomography.units import hu_to_mu

        core = slab.core_only
        cleaned = self._cleaned(slab)
        projected = slab.radon.forward(hu_to_mu(cleaned[None]))
        filled = matched_prior(core.sinogram[0], projected[0], core.lost_ray_trace[0])
        return np.asarray(filled)[None]

    def _cleaned(self, slab: Slab) -> Float:
        li = np.repeat(slab.core_only.li_hu, 3, axis=0)  # the network reads the middle's alone
        none = np.zeros_like(li)
        saturated = np.repeat(slab.core_only.saturated.astype(np.float32), 3, axis=0)
        channels = [slab.hu, slab.nmar_hu, li, slab.metal.astype(np.float32), saturated, none]
        window = torch.from_numpy(np.stack(channels, axis=1))[None].float()
        pixel = slab.radon.pixel_mm[0]
        multiple = self.network.unet.multiple
        side = int(np.ceil(max(slab.hu.shape[1:]) * pixel / PIXEL_MM / multiple)) * multiple
        with torch.inference_mode():  # `clean` itself goes to 16 bits where that is faster
            hu = self.network.clean(window, torch.tensor([pixel]), (side, side))
        return np.asarray(hu[0].float().numpy())


def _foreign_folder(settings: PlacementSettings, work: Path) -> Path:
    """Make the postoperative cases of unseen patients on the foreign scanner, once."""
    from spinemar.demo.sample_data import sample_ct

    folder = work / f"cases-{settings.case_seed}-{settings.cases_per_group}"
    for patient in settings.patients:
        landmarks = Path(patient.landmarks)
        done = folder / f".{landmarks.stem}"
        if not done.exists():
            ct = sample_ct() if patient.ct == SAMPLE else Path(patient.ct)
            make_cases(
                ct,
                landmarks,
                folder,
                per_group=settings.cases_per_group,
                seed=settings.case_seed,
            )
            done.touch()
    return folder


def _test_cases(settings: PlacementSettings, work: Path) -> Iterator[OutOfDomainCase]:
    """Yield scans in fan beam, then those of the collection's scenes in parallel beam."""
    if settings.scenes:
        collection = ScanCollection(
            read_yaml(CollectionSettings, Path(settings.scenes)), work.parent
        )
        for scene in collection.scenes():
            scanned = collection.scanned(scene)
            facts = {**scene.facts, "geometry": scene.settings.geometry}
            yield OutOfDomainCase(scene.name, scanned.scan, scanned.truth, facts)
    yield from load_cases(_foreign_folder(settings, work))
    if settings.judge:
        yield from _judge_cases(Path(settings.judge))


def _judge_cases(folder: Path) -> Iterator[OutOfDomainCase]:
    """Yield the judge's scans on 12 bit; they are scored here, and nothing else."""
    paths = sorted(folder.glob("*/facts.json"))
    if not paths:
        raise InputError(
            f"There are no scans of the judge in {folder}.",
            "Make them as Docs/judge.md says.",
        )
    for path in paths:
        facts = json.loads(path.read_text("utf-8"))
        told = {"metal": facts["screws"], "scale": "12-bit", "geometry": JUDGE}
        scan, truth = (read_volume(path.parent / f"{name}.nii.gz") for name in ("scan", "truth"))
        yield OutOfDomainCase(path.parent.name, scan, truth, {**told, "patient": facts["patient"]})


def score_arms(
    settings: PlacementSettings, arms: Sequence[str], work: Path
) -> list[dict[str, Any]]:
    """Score input, NMAR, the shipped prior and every trained one; one row a case and network."""
    kept = work / "scores"
    rows = []
    networks = {
        f"{arm}-{seed}": TorchPrior(work / f"{arm}-{seed}" / "weights.pt", settings)
        for seed in settings.seeds
        for arm in arms
    }
    for case in _test_cases(settings, work):
        path = kept / f"{case.name}.json"
        if not path.exists():
            made = _score_case(case, networks)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(made), encoding="utf-8")
            print(f"{case.name}: scored", flush=True)
        rows += json.loads(path.read_text("utf-8"))
    return rows


def _score_case(case: OutOfDomainCase, networks: dict[str, TorchPrior]) -> list[dict[str, Any]]:
    from spinemar.mar.segmentation.metal import segment_metal

    metal = segment_metal(case.scan).mask
    if not metal[MIDDLE].any():
        return []
    middle, truth = CentralSlice(case.scan, metal), case.truth.hu[MIDDLE]
    pixel = (case.scan.spacing_mm[1], case.scan.spacing_mm[0])
    regions = slice_regions(truth, metal[MIDDLE], pixel)
    images: dict[str, Float] = {"input": case.scan.hu[MIDDLE]}
    for method in study_methods(("nmar",)):
        images[method.name] = middle.judged(middle.proposed(method.inpainter), OPEN_GATE).hu
    for name, network in networks.items():
        images[name] = middle.corrected(network).hu
    return [
        {
            "case": case.name,
            **{key: case.facts[key] for key in ("patient", "metal", "scale", "geometry")},
            "network": name,
            "rmse_hu": rmse_hu(truth, image, regions.scored),
            "rmse_near_hu": rmse_hu(truth, image, regions.near),
        }
        for name, image in images.items()
    ]


def summarise_placement(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """RMSE by arm, and ratios between arms, over all cases and by the scanner's beam.

    A case's seeds are averaged (in logarithms) first; the interval draws cases. The ratio of
    each seed is given beside it, so that nobody takes a lucky seed for an effect.
    """
    groups = {
        "all": rows,
        "fan beam": [row for row in rows if row["geometry"].startswith("fan")],
        "parallel beam": [row for row in rows if row["geometry"] == "parallel"],
        JUDGE: [row for row in rows if row["geometry"] == JUDGE],
    }
    return {name: _summary(chosen) for name, chosen in groups.items() if chosen}


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seeds = sorted({int(r["network"].split("-")[1]) for r in rows if "-" in r["network"]})
    cases = sorted({row["case"] for row in rows})
    found = {(r["case"], r["network"]): r for r in rows}

    def mean(name: str, metric: str) -> float:
        return float(np.mean([found[case, name][metric] for case in cases]))

    out: dict[str, Any] = {"cases": len(cases), "seeds": seeds, "arms": {}, "differences": {}}
    for name in ("input", "nmar"):
        out["arms"][name] = {m: mean(name, m) for m in _METRICS}
    arms = {r["network"].split("-")[0]: None for r in rows if "-" in r["network"]}
    for arm in arms:
        names = [f"{arm}-{seed}" for seed in seeds]
        out["arms"][arm] = {m: float(np.mean([mean(n, m) for n in names])) for m in _METRICS}
        out["arms"][arm]["seeds_hu"] = [mean(n, "rmse_hu") for n in names]
    for pair in _COMPARED:
        if not set(pair) <= arms.keys():
            continue
        out["differences"][" / ".join(pair)] = {
            **{m: _between(found, cases, seeds, pair, m).to_json() for m in _METRICS},
            "by_seed": [_between(found, cases, [s], pair, "rmse_hu").mean for s in seeds],
        }
    return out


def _between(
    found: dict[tuple[str, str], dict[str, Any]],
    cases: Sequence[str],
    seeds: Sequence[int],
    arms: tuple[str, str],
    metric: str,
) -> Estimate:
    def mean_log(case: str, arm: str) -> float:
        return float(np.mean([np.log(found[case, f"{arm}-{s}"][metric]) for s in seeds]))

    return geometric([np.exp(mean_log(c, arms[0]) - mean_log(c, arms[1])) for c in cases])
