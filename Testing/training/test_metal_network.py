"""The network that outlines metal: what it sees, learns, exports, and how the core runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from spinemar_training.lightning.metal import outline_loss  # noqa: E402
from spinemar_training.metal import encoding  # noqa: E402
from spinemar_training.metal.cases import MetalCase, load_case, save_case  # noqa: E402
from spinemar_training.metal.crops import CROP_PX, CropStream  # noqa: E402
from spinemar_training.metal.prostheses import crowns, hip  # noqa: E402
from spinemar_training.metal.runs import (  # noqa: E402
    build_metal,
    dice,
    table,
    train_metal,
    whole_slice,
    write_scores,
)
from spinemar_training.projectors.nufft import NufftRadon  # noqa: E402
from spinemar_training.projectors.radon import TorchRadon  # noqa: E402
from spinemar_training.shipping.export import add_metal  # noqa: E402
from spinemar_training.simulate.scan import _gaussian, _wide_gaussian  # noqa: E402

from spinemar.errors import ModelError  # noqa: E402
from spinemar.mar.inpainters.learned.metal_network import NetworkOutline, encode  # noqa: E402
from spinemar.mar.inpainters.methods import make_outliner, shipped_model  # noqa: E402
from spinemar.mar.inpainters.models.manifest import load_manifest  # noqa: E402
from spinemar.mar.segmentation.outline import MeasuredOutline  # noqa: E402

pytestmark = pytest.mark.training


def _case(seed: int) -> MetalCase:
    """Two rods behind blur, 12,000 HU."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :140]
    fraction = np.zeros((3, 120, 140), np.float32)
    for _ in range(2):
        cy, cx, radius = rng.uniform(40, 80), rng.uniform(40, 100), rng.uniform(3, 6)
        fraction = np.maximum(fraction, np.clip(radius - np.hypot(y - cy, x - cx) + 0.5, 0, 1))
    hu = ndimage.gaussian_filter(40 + fraction * 12000, (0, 1.2, 1.2)) + rng.normal(
        0, 20, (3, 1, 1)
    )
    return MetalCase(hu.astype(np.float32), fraction.astype(np.float32), 0.7, "CoCrMo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(4):
        save_case(tmp_path / f"{seed:05d}.npz", _case(seed))
    return tmp_path


def test_the_core_encodes_what_training_does() -> None:
    rng = np.random.default_rng(0)
    hu = rng.uniform(-2000, 30000, (3, 16, 24)).astype(np.float32)
    expected = encoding.encode(
        torch.from_numpy(hu)[None], torch.tensor([0.55]), torch.tensor([30710.0])
    )[0]
    np.testing.assert_allclose(encode(hu, 0.55, 30710.0), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_case_comes_back_as_it_was_written(folder: Path) -> None:
    made, read = _case(2), load_case(folder / "00002.npz")
    np.testing.assert_allclose(read.hu, made.hu, rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(read.fraction, made.fraction, atol=0.003)
    assert (read.pixel_mm, read.materials) == (made.pixel_mm, made.materials)


def test_crops_hold_metal_and_depend_on_their_number_alone(folder: Path) -> None:
    files = sorted(folder.glob("*.npz"))
    first, again = CropStream(files, 3, 5), CropStream(files, 3, 5)
    stream = iter(first)
    next(stream)
    second = next(stream)
    again.first = 1
    for a, b in zip(second, next(iter(again)), strict=True):
        torch.testing.assert_close(a, b)
    assert second.hu.shape == (3, 3, CROP_PX, CROP_PX)
    assert (second.fraction.amax((1, 2)) > 0.5).all()
    assert (second.hu.amax((1, 2, 3)) <= second.top_hu).all()
    # Where pixels are metal throughout, they are bright: the two belong together.
    assert (second.hu[:, 1][second.fraction > 0.99] > 1500).all()


def test_training_outlines_behind_the_clip_better_than_the_threshold(folder: Path) -> None:
    weights = train_metal(
        folder, folder / "run", steps=70, batch_size=4, learning_rate=2e-3, ema_decay=0.9
    )
    told = write_scores(weights, folder, folder / "scores")
    rows = json.loads((folder / "scores" / "metal.json").read_text("utf-8"))
    assert "| 12-bit | CoCrMo | 4 |" in told
    assert table(rows) == told
    clipped = [row for row in rows if row["scale"] == "12-bit"]
    assert np.mean([r["dice"] for r in clipped]) > np.mean([r["dice_generous"] for r in clipped])
    share = whole_slice(build_metal(weights).eval(), _case(0), (-1024.0, 3071.0))
    assert dice(share > 0.5, _case(0).fraction[1] > 0.5) > 0.7


def test_a_perfect_answer_costs_least() -> None:
    fraction = torch.zeros(1, 20, 20)
    fraction[:, 5:9, 5:9] = 1
    hu = torch.where(fraction > 0, 3071.0, 40.0)
    sure = torch.where(fraction > 0, 8.0, -8.0)
    right, overlap = outline_loss(sure, fraction, hu)
    wrong, nothing = outline_loss(-sure, fraction, hu)
    assert right < 0.05 < wrong
    assert overlap == 1.0
    assert nothing == 0.0


def _model_folder(tmp_path: Path) -> Path:
    manifest = shipped_model()
    assert manifest is not None
    target = tmp_path / "model"
    shutil.copytree(manifest.parent, target)
    return target


def test_the_exported_network_says_what_pytorch_says(tmp_path: Path) -> None:
    network = build_metal()
    torch.manual_seed(0)
    torch.nn.init.normal_(network.unet.head.weight, std=0.05)
    weights = tmp_path / "weights.pt"
    torch.save({"metal": network.state_dict()}, weights)
    target = _model_folder(tmp_path)
    assert {p.name for p in add_metal(weights, target)} >= {"manifest.json"}
    manifest = load_manifest(target)
    assert manifest.metal is not None
    outliner = make_outliner(target, "cpu")
    assert isinstance(outliner, NetworkOutline)
    assert outliner.sha256 == manifest.metal.sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"features": ["B", 7, "H", "W"]}}, "other inputs"),
        ({"settings": {}}, "multiple"),
        ({"sha256": "0" * 64}, "SHA-256 differs"),
    ],
)
def test_a_metal_network_that_does_not_fit_is_refused(tmp_path: Path, change, message) -> None:
    target = _model_folder(tmp_path)
    path = target / "manifest.json"
    content = json.loads(path.read_text("utf-8"))
    content["networks"]["metal"].update(change)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        make_outliner(target, "cpu")


def test_a_model_without_one_measures_the_outline(tmp_path: Path) -> None:
    target = _model_folder(tmp_path)
    path = target / "manifest.json"
    content = json.loads(path.read_text("utf-8"))
    del content["networks"]["metal"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert isinstance(make_outliner(target, "cpu"), MeasuredOutline)


def test_prostheses_lie_beside_and_before_the_spine() -> None:
    centre = np.zeros(3)
    rng = np.random.default_rng(3)
    ball = hip(centre, rng)[0]
    assert 60 <= abs(ball.centre[0]) <= 110  # type: ignore[union-attr]
    arch = crowns(centre, rng)
    assert 4 <= len(arch) <= 10
    assert all(one.centre[1] < 0 for one in arch)  # type: ignore[union-attr]


def test_a_wide_blur_by_its_transform_is_the_same_blur() -> None:
    signal = torch.rand(2, 3, 200)
    narrow = _gaussian(signal, 7.9)
    wide = _wide_gaussian(signal, 7.9, 24)
    assert (narrow - wide).abs().max() < 2e-3


def test_a_kernel_window_acts_alike_on_both_projectors() -> None:
    sinogram = torch.zeros(1, 90, 92)
    sinogram[:, :, 40:52] = 1.0
    fast, slow = NufftRadon(64, 90, 92), TorchRadon(64, 90, 92)

    def soft(radon):
        return radon.fbp(sinogram, torch.exp(-4 * radon.frequencies() ** 2))

    difference = (soft(fast) - soft(slow))[:, 8:56, 8:56]
    assert difference.abs().max() < 0.02 * soft(slow).abs().max()


def test_a_marker_of_tantalum_is_drawn_no_more_often_than_other_titanium(tmp_path: Path) -> None:
    for seed in range(8):
        case = _case(seed)
        marked = seed == 0
        hu = np.where(case.fraction > 0, case.hu, -600.0 if marked else 40.0)
        name = "Ta+Ti-6Al-4V" if marked else "Ti-6Al-4V"
        save_case(tmp_path / f"{seed}.npz", MetalCase(hu, case.fraction, 0.7, name))
    batch = next(iter(CropStream(sorted(tmp_path.glob("*.npz")), 80, seed=2)))
    dark = [bool(((one > -800) & (one < -400)).sum() > 2000) for one in batch.hu[:, 1]]
    assert 3 <= sum(dark) <= 20
