"""The network that takes the earlier CT in: what it learns, exports, and how the core runs it."""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from spinemar_training.data.lessons import (  # noqa: E402
    CROP_PX,
    N_PLANES,
    LessonStream,
    as_lessons,
    read_lessons,
)
from spinemar_training.lightning.fusion import fused, picture_loss  # noqa: E402
from spinemar_training.runs.fusion_runs import (  # noqa: E402
    build_fusion,
    picture_errors,
    train_fusion,
)
from spinemar_training.shipping.export import add_fusion  # noqa: E402

from spinemar.errors import InputError, ModelError  # noqa: E402
from spinemar.mar.earlier.candidates import N_FEATURES, Candidate  # noqa: E402
from spinemar.mar.inpainters.learned.fusion_network import FusionNetwork  # noqa: E402
from spinemar.mar.inpainters.learned.inpainter import LearnedInpainter  # noqa: E402
from spinemar.mar.inpainters.methods import make_inpainter, shipped_model  # noqa: E402
from spinemar.mar.inpainters.models.manifest import load_manifest  # noqa: E402
from spinemar.mar.inpainters.models.session import NetworkSession  # noqa: E402

pytestmark = pytest.mark.training


def _lesson(seed: int, size: tuple[int, int] = (192, 160)) -> np.ndarray:
    """An earlier CT that is right where it differs little, and wrong where it differs much."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.normal(0, 1, size), 3)
    truth *= 300 / truth.std()
    ground = ndimage.gaussian_filter(truth, 5)
    wrong = np.zeros(size)
    y, x = rng.integers(60, 120, 2)
    wrong[y : y + 25, x : x + 25] = 1500.0
    difference = truth + wrong - ground
    coarse = ndimage.gaussian_filter(difference, 4)
    planes = np.zeros((N_PLANES, *size), np.float32)
    planes[0], planes[1] = ground / 1000 + 1, (truth + wrong) / 1000 + 1
    planes[3] = difference / 500
    planes[4] = 1.0
    planes[6] = 0.2
    rest = (ground, coarse, difference - coarse, truth, wrong > 0)
    planes[N_FEATURES:] = np.stack(rest)
    return planes.astype(np.float16)


@pytest.fixture
def lessons(tmp_path: Path) -> list[Path]:
    for n in range(3):
        np.savez(tmp_path / f"{n}.npz", slice_0=_lesson(2 * n), slice_1=_lesson(2 * n + 1))
    return sorted(tmp_path.glob("*.npz"))


def test_it_learns_where_to_believe(lessons: list[Path], tmp_path: Path) -> None:
    weights = train_fusion(lessons[:2], tmp_path / "run", seconds=60, steps=60, learning_rate=2e-3)
    errors = picture_errors(weights, lessons[2:])
    assert errors["fused"] < 0.8 * errors["ground"]
    assert errors["fused"] < 0.8 * errors["earlier"]


def test_batches_depend_on_their_number_alone(lessons: list[Path]) -> None:
    first, other = LessonStream(lessons, 2, seed=4), LessonStream(lessons, 2, seed=4)
    other.first = 2
    third, again = next(islice(first, 2, 3)), next(iter(other))
    for one, same in zip(third, again, strict=True):
        assert torch.equal(one, same)


def test_beyond_a_small_window_nothing_counts(tmp_path: Path) -> None:
    np.savez(tmp_path / "small.npz", slice_0=_lesson(1, (128, 160))[:, :96])
    batch = next(iter(LessonStream([tmp_path / "small.npz"], 1, seed=0)))
    assert batch.features.shape == (1, N_FEATURES, CROP_PX, CROP_PX)
    loss = picture_loss(batch.ground, batch)
    batch.truth[:, 96:] += 1e4
    assert torch.equal(picture_loss(batch.ground, batch), loss)


def test_what_was_changed_by_the_operation_weighs_more(lessons: list[Path]) -> None:
    batch = as_lessons(torch.from_numpy(read_lessons(lessons)[0]).float()[None])
    elsewhere = batch.truth + 200 * (1 - batch.changed) * batch.changed.mean()
    where_changed = batch.truth + 200 * batch.changed * (1 - batch.changed).mean()
    assert picture_loss(where_changed, batch) > picture_loss(elsewhere, batch)


def test_no_lessons_of_this_version_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "old.npz", slice_0=np.zeros((3, 160, 160), np.float16))
    with pytest.raises(InputError, match="no lessons"):
        read_lessons([tmp_path / "old.npz"])
    with pytest.raises(InputError, match="no lessons"):
        read_lessons([])


def test_core_and_training_make_the_same_picture(lessons: list[Path]) -> None:
    planes = read_lessons(lessons)[0].astype(np.float32)
    rng = np.random.default_rng(5)
    maps = rng.uniform(0, 1, (3, *planes.shape[1:])).astype(np.float32)
    ground, coarse, fine = planes[N_FEATURES : N_FEATURES + 3]
    core, _ = Candidate(ground, coarse, fine, planes[4], planes[:N_FEATURES]).fused(maps)
    batch = as_lessons(torch.from_numpy(planes)[None])
    np.testing.assert_allclose(core, fused(torch.from_numpy(maps)[None], batch)[0], atol=1e-2)


def _model_with(tmp_path: Path) -> Path:
    shipped = shipped_model()
    assert shipped is not None
    target = tmp_path / "model"
    shutil.copytree(shipped.parent, target)
    network = build_fusion()
    torch.manual_seed(0)
    torch.nn.init.normal_(network.unet.head.weight, std=0.05)
    torch.save({"fusion": network.state_dict()}, tmp_path / "weights.pt")
    assert {p.name for p in add_fusion(tmp_path / "weights.pt", target)} >= {"manifest.json"}
    return target


def test_the_exported_network_says_what_pytorch_says(tmp_path: Path) -> None:
    network = load_manifest(_model_with(tmp_path)).fusion
    assert network is not None
    session = NetworkSession(network, "cpu", threads=1)
    FusionNetwork(network, session)
    seen = np.random.default_rng(1).uniform(0, 2, (1, N_FEATURES, 96, 64)).astype(np.float32)
    with torch.no_grad():
        expected = build_fusion(tmp_path / "weights.pt")(torch.from_numpy(seen)).numpy()
    np.testing.assert_allclose(session.run({"features": seen})["maps"], expected, atol=2e-2)


def test_the_facts_name_it_once_it_is_used(tmp_path: Path) -> None:
    manifest = _model_with(tmp_path)
    network = load_manifest(manifest).fusion
    inpainter = make_inpainter("generator", manifest, "cpu")
    assert isinstance(inpainter, LearnedInpainter)
    assert network is not None
    assert network.sha256 not in inpainter.facts().sha256
    inpainter.fusion()
    inpainter.fusion()
    assert inpainter.facts().sha256.split("+").count(network.sha256) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"features": ["B", 7, "H", "W"]}}, "other inputs"),
        ({"settings": {"pixel_mm": 0.8}}, "multiple"),
        ({"settings": {"multiple": 32}}, "pixel_mm"),
        ({"settings": {"multiple": 32, "pixel_mm": 90}}, "no sense"),
        ({"sha256": "0" * 64}, "SHA-256 differs"),
    ],
)
def test_one_that_does_not_fit_is_refused(tmp_path: Path, change, message) -> None:
    target = _model_with(tmp_path)
    path = target / "manifest.json"
    content = json.loads(path.read_text("utf-8"))
    content["networks"]["fusion"].update(change)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        make_inpainter("generator", target, "cpu").fusion()  # type: ignore[union-attr]
