"""What each part of the learned correction adds, on the judge: paired with the prior alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from spinemar_study.scenes.methods import WITH_GENERATOR
from spinemar_study.statistics import geometric

from spinemar.evaluation.metrics import hu_bias, sharpness_ratio
from spinemar.evaluation.regions import slice_regions
from spinemar.mar.correct import correct_volume
from spinemar.mar.inpainters.learned import LearnedInpainter
from spinemar.mar.inpainters.methods import make_inpainter
from spinemar.mar.segmentation.trace import nearness_mm
from spinemar.volume import CTVolume
from Testing.benchmarks.xcist.cases import Case
from Testing.benchmarks.xcist.comparing.measured import Maker, by_network, by_rule
from Testing.benchmarks.xcist.score import MIDDLE, Picture, correct, score_picture

PRIOR = "prior alone"
_SPLIT_MM = 2.0
"""Gaussian that parts low from high frequencies; what is finer comes from the scan near metal."""
_SPLIT_WITHIN_MM = 15.0
_CORTEX_HU = (500.0, 1500.0)


@dataclass(frozen=True)
class ArmScore:
    """One arm on one case: errors as a reader sees them, true metal and 2 px left out."""

    case: str
    screws: str
    arm: str
    rmse_hu: float
    rmse_near_hu: float
    faint_near_hu: float
    sharpness_near: float
    cortex_hu: float


def frequency_split(scan: CTVolume, picture: Picture) -> Picture:
    """Lay the scan's fine detail over a correction near metal (Meyer et al. 2012).

    Doi 10.1118/1.3691902: low frequencies are the correction's; high ones are the scan's beside
    metal and the correction's far from it. It changes more than lost rays, so it is no method of
    ours.
    """
    assert picture.mask is not None
    pixel_mm = scan.spacing_mm[1], scan.spacing_mm[0]
    sigma = [0.0, *(_SPLIT_MM / side for side in pixel_mm)]
    fine_scan = scan.hu - ndimage.gaussian_filter(scan.hu, sigma)
    fine = picture.volume.hu - ndimage.gaussian_filter(picture.volume.hu, sigma)
    near = np.stack([nearness_mm(np.ascontiguousarray(one), pixel_mm) for one in picture.mask])
    weight = np.clip(1.0 - near / _SPLIT_WITHIN_MM, 0.0, 1.0).astype(np.float32)
    hu = picture.volume.hu + weight * (fine_scan - fine)
    return Picture(picture.volume.with_hu(hu), picture.mask, picture.put_back)


def arms(networks: Mapping[str, Path] = MappingProxyType({})) -> dict[str, Maker]:
    """Return the arms by name; `networks` are weights of generators that see the measured rays."""
    learned = make_inpainter("generator", Path(WITH_GENERATOR), "cpu")
    assert isinstance(learned, LearnedInpainter)
    prior = learned.without_generator()
    cgan = make_inpainter("generator", Path("spinemar-lumbar-cgan"), "cpu")

    def corrected(inpainter: LearnedInpainter) -> Callable[[CTVolume], Picture]:
        def run(scan: CTVolume) -> Picture:
            result = correct_volume(scan, inpainter=inpainter)
            return Picture(result.volume, result.metal_mask, result.metal_outline)

        return run

    assert isinstance(cgan, LearnedInpainter)
    return {
        "NMAR": lambda scan: correct(scan, "nmar"),
        PRIOR: corrected(prior),
        "prior and generator": corrected(learned),
        "prior and cGAN": corrected(cgan),
        "frequency split of the generator's": lambda scan: frequency_split(
            scan, corrected(learned)(scan)
        ),
        "prior and measured rays": by_rule(prior, calmest_only=False),
        "prior and measured rays where calm": by_rule(prior, calmest_only=True),
        **{name: by_network(prior, weights) for name, weights in networks.items()},
    }


def score_arms(
    cases: Iterable[Case],
    scale: str,
    makers: Mapping[str, Maker],
    known: Callable[[str, str], bool] = lambda case, arm: False,
) -> Iterator[ArmScore]:
    """Score every arm on every case that is not known yet, given as case and arm."""
    for case in cases:
        for name, make in makers.items():
            if not known(case.name, name):
                yield _score(case, make(case.scans[scale]), scale, name)


def _score(case: Case, picture: Picture, scale: str, arm: str) -> ArmScore:
    strict, faint = score_picture(case, picture, scale, arm).seen
    truth, result = case.truth.hu[MIDDLE], picture.volume.hu[MIDDLE]
    pixel_mm = case.truth.spacing_mm[1], case.truth.spacing_mm[0]
    near = slice_regions(truth, case.metal_fraction[MIDDLE] > 0.5, pixel_mm).near
    cortex: NDArray[np.bool_] = near & (truth > _CORTEX_HU[0]) & (truth < _CORTEX_HU[1])
    return ArmScore(
        case.name,
        case.facts["screws"],
        arm,
        strict.rmse_hu,
        strict.rmse_near_hu,
        faint.rmse_near_hu,
        sharpness_ratio(truth, result, near),
        hu_bias(truth, result, cortex),
    )


def table(rows: Sequence[ArmScore]) -> list[str]:
    """Means by arm and alloy, and the ratio of errors to the prior's, paired by case."""
    lines = [
        "| metal | arm | RMSE HU | within 20 mm | ratio to the prior alone | ratio within 20 mm "
        "| faint metal left out too | worst scan | sharpness near | cortex HU |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for alloy in ("all", *sorted({row.screws for row in rows})):
        chosen = [row for row in rows if alloy in ("all", row.screws)]
        base = {row.case: row for row in chosen if row.arm == PRIOR}
        for arm in dict.fromkeys(row.arm for row in chosen):
            lines.append(_line(f"{alloy} ({len(base)})", arm, chosen, base))
    return lines


def _line(title: str, arm: str, rows: Sequence[ArmScore], base: dict[str, ArmScore]) -> str:
    mine = [row for row in rows if row.arm == arm]
    whole = [row.rmse_hu / base[row.case].rmse_hu for row in mine]
    near = [row.rmse_near_hu / base[row.case].rmse_near_hu for row in mine]
    faint = [row.faint_near_hu / base[row.case].faint_near_hu for row in mine]
    cells = [title, arm]
    cells += [
        f"{np.mean([getattr(row, name) for row in mine]):.1f}"
        for name in ("rmse_hu", "rmse_near_hu")
    ]
    for ratios in (whole, near, faint):
        said = geometric(ratios)
        cells.append(f"{said.mean:.3f} ({said.low:.3f} to {said.high:.3f})")
    cells.append(f"{max(near):.2f}")
    cells.append(f"{np.mean([row.sharpness_near for row in mine]):.3f}")
    cells.append(f"{np.nanmean([row.cortex_hu for row in mine]):+.0f}")
    return "| " + " | ".join(cells) + " |"
