"""The placement study: equal arms, resumable trainings, scores that can be checked by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spinemar_study.scenes.central_slice import CentralSlice  # noqa: E402
from spinemar_study.studies import placement  # noqa: E402
from spinemar_study.studies.placement_equal import difference  # noqa: E402
from spinemar_study.studies.placement_reasons import error_rings, trace_shape  # noqa: E402
from spinemar_study.studies.placement_scores import TorchPrior, summarise_placement  # noqa: E402
from spinemar_study.study_settings import PlacementSettings  # noqa: E402
from spinemar_training.networks.prior import PriorNetwork  # noqa: E402
from spinemar_training.simulate.slabs import CHANNELS  # noqa: E402

from spinemar.volume import CTVolume  # noqa: E402

pytestmark = pytest.mark.training
SETTINGS = PlacementSettings(
    "", (), pairs=4, steps=6, batch_size=2, widths=(8, 8), blocks=(1, 1), crop_px=32
)


class Store:
    """Six realistic and six random pairs with a square of metal."""

    def __init__(self) -> None:
        kinds = ["realistic", "random"] * 6
        self.rows = [{"index": n, "placement": kind} for n, kind in enumerate(kinds)]

    def __getitem__(self, n: int) -> dict:
        rng = np.random.default_rng(n)
        pair = {name: rng.normal(0, 50, (3, 96, 96)).astype(np.float32) for name in CHANNELS}
        for name in ("metal", "saturated"):
            pair[name] = np.zeros((3, 96, 96), bool)
        pair["metal"][:, 20:26, 60:66] = True
        return {**pair, "pixel_mm": np.float32(0.8)}


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return placement.crops_of(Store(), [0, 1, 2, 3], tmp_path_factory.mktemp("crops"))


def test_arms_hold_equally_many_pairs_and_the_mixed_one_half_of_each():
    store = Store()
    kinds = {
        arm: [store.rows[n]["placement"] for n in placement.choose_pairs(store, arm, 4)]
        for arm in placement.ARMS
    }
    assert kinds["realistic"] == ["realistic"] * 4
    assert kinds["random"] == ["random"] * 4
    assert sorted(kinds["mixed"]) == ["random"] * 2 + ["realistic"] * 2
    with pytest.raises(ValueError, match="6 random training pairs, not 7"):
        placement.choose_pairs(store, "random", 7)


class MetalStore:
    """Realistic pairs of 300 and 600 mm2, random ones of 100 to 650 mm2; lost rays follow."""

    def __init__(self) -> None:
        areas = {"realistic": (300.0, 600.0), "random": (100.0, 310.0, 580.0, 650.0)}
        self.lost: dict[int, float] = {}
        self.rows: list[dict] = []
        for kind, sizes in areas.items():
            for size in sizes:
                n = len(self.rows)
                by_slice = {"Ti-6Al-4V": [9.0, size, 9.0], "PEEK": [0.0, 0.0, 0.0]}
                row = {"index": 10 + n, "placement": kind, "metal_mm2": by_slice}
                self.rows.append({**row, "pixel_mm": 0.8})
                self.lost[10 + n] = size / 5000

    def read(self, name: str, index: int) -> np.ndarray:
        assert name == "lost_ray_trace"
        trace = np.zeros((3, 100, 100), bool)
        trace[1].flat[: round(1e4 * self.lost[index])] = True
        return trace


def test_arms_of_equal_metal_pair_what_is_alike(tmp_path):
    store = MetalStore()
    settings = PlacementSettings("", (), pairs=2, metal="equal")
    arms = placement.choose_arms(store, settings, tmp_path)
    areas = {
        arm: sorted(store.rows[n]["metal_mm2"]["Ti-6Al-4V"][1] for n in positions)
        for arm, positions in arms.items()
    }
    assert areas == {"realistic": [300.0, 600.0], "random": [310.0, 580.0]}
    one = placement.choose_arms(store, PlacementSettings("", (), pairs=1, metal="equal"), tmp_path)
    assert [store.rows[n]["metal_mm2"]["Ti-6Al-4V"][1] for n in one["realistic"]] == [300.0]
    with pytest.raises(ValueError, match="2 pairs of pairs with equal metal, not 3"):
        placement.choose_arms(store, PlacementSettings("", (), pairs=3, metal="equal"), tmp_path)


def test_another_alloy_counts_as_a_difference_but_not_for_ever():
    steel = {"metal_mm2": 300.0, "lost_share": 0.1, "alloy": "316L"}
    others = [
        {**steel, "alloy": "Ti-6Al-4V"},
        {**steel, "lost_share": 0.11},
        {**steel, "metal_mm2": 600.0},
        steel,
    ]
    by_alloy, by_lost, by_area, none = difference([steel], others)[0]
    assert none == 0 < by_lost < by_alloy < by_area


def test_crops_lie_about_the_metal_and_are_read_again(crops, tmp_path):
    metal = crops.together[:, -1]
    rows, columns = np.nonzero(metal[0].numpy() > 0.5)
    middle = (metal.shape[-1] - 1) / 2
    # The metal lies 25 px above and 15 px right of the image's centre; nothing can be cut there.
    assert np.hypot(rows.mean() - middle, columns.mean() - middle) < 30
    first = placement.crops_of(Store(), [0], tmp_path)
    again = placement.crops_of(SimpleNamespace(rows=Store().rows), [0], tmp_path)
    assert torch.equal(first.together, again.together), "kept, not made again"


def test_a_batch_is_the_same_for_the_same_draw_and_weighs_metal_more(crops):
    batches = [placement.draw_batch(crops, 3, 64, np.random.default_rng(5)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))
    features, images, weight = batches[0]
    assert features.shape[0] == images.shape[0] == 3
    assert features.shape[-1] == 64
    assert set(weight.unique().tolist()) <= {1.0, 3.0}


def test_a_killed_training_ends_with_the_same_weights(crops, tmp_path, monkeypatch):
    monkeypatch.setattr(placement, "_CHECKPOINT_STEPS", 2)
    whole = placement.train_one(SETTINGS, crops, 1, tmp_path / "whole")
    assert whole["steps"] == 6
    step, calls = placement._step, []

    def killed(*args):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        step(*args)

    monkeypatch.setattr(placement, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        placement.train_one(SETTINGS, crops, 1, tmp_path / "cut")
    monkeypatch.setattr(placement, "_step", step)
    placement.train_one(SETTINGS, crops, 1, tmp_path / "cut")
    one, other = (
        torch.load(tmp_path / name / "weights.pt", weights_only=True)["prior"]
        for name in ("whole", "cut")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    fresh = PriorNetwork(SETTINGS.widths, SETTINGS.blocks).state_dict()
    assert any(not torch.equal(one[key], fresh[key]) for key in one), "something was learnt"


def test_a_prior_in_pytorch_changes_lost_rays_alone(tmp_path):
    torch.manual_seed(0)
    torch.save(
        {"prior": PriorNetwork(SETTINGS.widths, SETTINGS.blocks).state_dict()},
        tmp_path / "weights.pt",
    )
    j, i = np.mgrid[:96, :96]
    hu = np.where(np.hypot(j - 48, i - 48) < 40, 40.0, -1000.0).astype(np.float32)
    metal = np.hypot(j - 60, i - 48) < 4
    hu[metal] = 3071
    volume = CTVolume(np.stack([hu] * 3), np.diag([2.0, 2.0, 2.0, 1.0]))
    middle = CentralSlice(volume, np.stack([metal] * 3))
    prior = TorchPrior(tmp_path / "weights.pt", SETTINGS)
    proposal = middle.proposed(prior)
    assert proposal is not None
    rays = middle._radon.forward(proposal.change[None])[0]
    lost = middle._any_cache().get("lost_rays", [1])[0].trace
    assert np.abs(rays[~lost]).mean() < 0.2 * np.abs(rays[lost]).mean()
    result = middle.corrected(prior)
    assert result.strength == 1.0
    np.testing.assert_array_equal(result.hu[metal], hu[metal])


def test_trace_shapes_of_a_disc_and_of_two_strips():
    disc = np.zeros((10, 100), bool)
    disc[:, 40:60] = True
    shape = trace_shape(disc)
    assert shape == pytest.approx(
        {"share": 0.2, "parts": 1.0, "mean_width": 20.0, "widest": 20.0, "by_angle": 0.0}
    )
    strips = np.zeros((10, 100), bool)
    strips[:5, 10:20] = strips[:5, 50:80] = True
    shape = trace_shape(strips)
    assert shape["parts"] == 1.0
    assert shape["widest"] == 30
    assert shape["mean_width"] == pytest.approx(20.0)
    assert shape["by_angle"] == pytest.approx(1.0)
    assert trace_shape(np.zeros((4, 8), bool))["share"] == 0


def test_error_rings_are_mean_squares_by_distance():
    truth = np.zeros((81, 81), np.float32)
    metal = np.zeros_like(truth, bool)
    metal[40, 40] = True
    distance = np.hypot(*(np.indices(truth.shape) - 40))
    image = np.where((distance > 5) & (distance <= 10), 3.0, 1.0).astype(np.float32)
    rings = error_rings(image, truth, metal, 1.0)
    assert rings[:3] == pytest.approx([1.0, 9.0, 1.0])


def test_the_summary_compares_arms_case_by_case():
    rows = []
    for n, beam in enumerate(("fan-arc", "parallel", "parallel", "XCIST")):
        size = 10.0 * (n + 1)
        for name, factor in (("input", 3.0), ("nmar", 2.0)):
            rows.append((n, beam, name, size * factor))
        for seed in (1, 2):
            for arm, factor in (("realistic", 0.8), ("random", 1.0), ("mixed", 0.9)):
                rows.append((n, beam, f"{arm}-{seed}", size * factor * (1.1 if seed == 2 else 1.0)))
    made = [
        {"case": str(n), "geometry": g, "network": name, "rmse_hu": v, "rmse_near_hu": 2 * v}
        for n, g, name, v in rows
    ]
    summary = summarise_placement(made)
    assert {name: group["cases"] for name, group in summary.items()} == {
        "all": 4, "fan beam": 1, "parallel beam": 2, "XCIST": 1,
    }  # fmt: skip
    found = summary["all"]["differences"]["realistic / random"]
    assert found["rmse_hu"]["mean"] == pytest.approx(0.8)
    assert found["rmse_hu"]["high"] == pytest.approx(0.8)
    assert found["by_seed"] == pytest.approx([0.8, 0.8])
    assert summary["all"]["arms"]["nmar"]["rmse_hu"] == pytest.approx(50.0)
    assert summary["all"]["arms"]["random"]["seeds_hu"] == pytest.approx([25.0, 27.5])
    two = summarise_placement([row for row in made if not row["network"].startswith("mixed")])
    assert list(two["all"]["differences"]) == ["realistic / random"], "an arm may be left out"


def test_the_judge_is_scored_from_its_folder_and_asked_for_where_it_is_missing(tmp_path):
    from spinemar_study.studies.placement_scores import _judge_cases

    from spinemar.errors import InputError
    from spinemar.io import write_volume

    with pytest.raises(InputError, match="no scans of the judge"):
        list(_judge_cases(tmp_path))
    folder = tmp_path / "steel-l1"
    folder.mkdir()
    for name, hu in (("scan", 3071.0), ("truth", 40.0)):
        image = np.full((3, 8, 8), -1000.0, np.float32)
        image[:, 2:6, 2:6] = -90.0
        image[:, 3, 3] = hu
        write_volume(folder / f"{name}.nii.gz", CTVolume(image, np.diag([-1.0, -1.0, 2.0, 1.0])))
    (folder / "facts.json").write_text('{"patient": "p", "screws": "316L"}', encoding="utf-8")
    (case,) = _judge_cases(tmp_path)
    assert (case.name, case.facts["geometry"], case.facts["metal"]) == ("steel-l1", "XCIST", "316L")
    assert (case.scan.hu.max(), case.truth.hu.max()) == (3071.0, 40.0)
