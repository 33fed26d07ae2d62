"""A prior judged by corrected slices: the errors it learns from are those the correction makes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from spinemar_training.cli import app  # noqa: E402
from spinemar_training.correction.scores import masked_rmse  # noqa: E402
from spinemar_training.lightning.reprojected import LostRays, picture_of  # noqa: E402
from spinemar_training.networks.prior import PriorNetwork  # noqa: E402
from spinemar_training.reprojected import stacks  # noqa: E402
from spinemar_training.reprojected.runs import score_stacks, table, train_reprojected  # noqa: E402
from spinemar_training.reprojected.samples import (  # noqa: E402
    Sample,
    SampleStream,
    read_sample,
    slices_of,
)
from spinemar_training.run_settings import RunSettings  # noqa: E402
from spinemar_training.runs.running import build_prior, save_weights  # noqa: E402
from spinemar_training.shipping.import_weights import weights_of_model  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from spinemar.dataset.manifest import read_inputs  # noqa: E402
from spinemar.errors import InputError  # noqa: E402
from spinemar.io import write_volume  # noqa: E402
from spinemar.mar.inpainters.learned.prior_network import PriorNetwork as CorePrior  # noqa: E402
from spinemar.mar.inpainters.methods import shipped_model  # noqa: E402
from spinemar.mar.inpainters.models.manifest import load_manifest  # noqa: E402
from spinemar.mar.inpainters.models.session import NetworkSession  # noqa: E402
from spinemar.mar.pipeline.interpolation.normalized import matched_prior  # noqa: E402
from spinemar.mar.pipeline.slab import Slab  # noqa: E402
from spinemar.mar.pipeline.slice_cache import SliceCache  # noqa: E402
from spinemar.tomography.radon import RadonTransform  # noqa: E402
from spinemar.tomography.units import difference_to_hu, hu_to_mu  # noqa: E402
from Testing.core.dataset.conftest import landmarks, trunk  # noqa: E402

pytestmark = pytest.mark.training

WIDENING_MM = 2.4


@pytest.fixture(scope="module")
def cts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trunks, of the training and of the validation, and their list."""
    folder = tmp_path_factory.mktemp("cts")
    rows = []
    for name, size, split in (("anna", 1.0, "training"), ("bert", 0.9, "validation")):
        write_volume(folder / f"{name}.nii.gz", trunk(size))
        marks = folder / f"{name}.marks.json"
        marks.write_text(json.dumps(landmarks(split)))
        rows.append({"ct": f"{name}.nii.gz", "patient": name, "landmarks": marks.name})
    (folder / "cts.json").write_text(json.dumps({"schema": "spinemar-cts/1", "cts": rows}))
    return folder / "cts.json"


@pytest.fixture(scope="module")
def made(cts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("made")
    words = ["prior-stacks", str(cts), "-o", str(output), "--only", "training", "--scans", "2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return output


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the shipped prior."""
    path = tmp_path_factory.mktemp("weights") / "shipped.pt"
    weights_of_model(shipped_model(), path, ["prior"])
    return path


def _first(made: Path) -> tuple[Path, int]:
    path = next(path for path in sorted(made.glob("*.npz")) if slices_of(path))
    return path, slices_of(path)[0]


def _rms(error: torch.Tensor, sample: Sample) -> float:
    return float(masked_rmse(error[None], torch.zeros_like(error[None]), sample.scored[None]))


def test_the_truth_as_the_picture_leaves_the_floor_and_nothing_else(made: Path) -> None:
    sample = read_sample(*_first(made))
    error = LostRays().error_hu(sample.truth_hu, sample)
    assert torch.allclose(error, sample.floor_hu, atol=1e-2)
    before = sample.input_hu - sample.truth_hu
    assert _rms(error, sample) < 0.5 * _rms(before, sample)


def test_the_error_is_that_of_the_correction_itself(made: Path) -> None:
    path, k = _first(made)
    sample = read_sample(path, k)
    picture = sample.nmar_hu.numpy()
    size, pixel = len(picture), sample.pixel_mm
    radon = RadonTransform((size, size), (pixel, pixel), threads=1)
    with np.load(path) as stored:
        metal = np.unpackbits(stored[f"metal{k}"], axis=-1, count=size) > 0
    cache = SliceCache(sample.input_hu.numpy()[None], metal[None], radon, clip_hu=-1024.0)
    bins = round(WIDENING_MM / radon.geometry.bin_mm)
    trace = cache.get("lost_rays", [0])[0].widened(bins).trace
    measured = cache.get("sinogram", [0])[0]
    filled = matched_prior(measured, radon.forward(hu_to_mu(picture[None]))[0], trace)
    corrected = sample.input_hu.numpy() + difference_to_hu(radon.fbp(filled - measured))
    error = torch.from_numpy(corrected) - sample.truth_hu
    told = LostRays().error_hu(sample.nmar_hu, sample)
    # HU are kept in whole ones: alike, not equal.
    assert _rms(told - error, sample) < 0.05 * _rms(error, sample)


def test_what_the_network_sees_is_what_the_core_shows_it(made: Path) -> None:
    path, k = _first(made)
    sample = read_sample(path, k)
    size, pixel = len(sample.input_hu), sample.pixel_mm
    with np.load(path) as stored:
        hu = np.stack([stored[f"hu{j}"] for j in (k - 1, k, k + 1)]).astype(np.float32)
        metal = [stored[f"metal{j}"] for j in (k - 1, k, k + 1)]
    masks = np.stack([np.unpackbits(one, axis=-1, count=size) > 0 for one in metal])
    radon = RadonTransform((size, size), (pixel, pixel), threads=1)
    slab = Slab(SliceCache(hu, masks, radon, clip_hu=-1024.0), [0, 1, 2], slice(1, 2))
    network = load_manifest(shipped_model()).prior
    assert network is not None
    prior = CorePrior(network, NetworkSession(network, "cpu", threads=1))
    _, seen = prior._features(slab, 1)
    assert seen.shape == sample.features.shape
    difference = np.abs(seen - sample.features.numpy())
    assert np.median(difference) < 1e-3
    assert np.percentile(difference, 99) < 0.02


def test_a_mirrored_sample_is_the_mirror_image_of_all_of_it(made: Path) -> None:
    path, k = _first(made)
    one, other = read_sample(path, k), read_sample(path, k, mirrored=True)
    rays = LostRays()
    error = rays.error_hu(one.nmar_hu, one)
    mirrored = rays.error_hu(other.nmar_hu, other)
    assert torch.allclose(mirrored.flip(-1), error, atol=0.5)
    network = PriorNetwork().eval()
    with torch.no_grad():
        pictures = [picture_of(network, sample) for sample in (one, other)]
    assert torch.allclose(pictures[1].flip(-1), pictures[0], atol=1.0)


def test_batches_depend_on_their_number_alone(made: Path) -> None:
    files = sorted(made.glob("*.npz"))
    first, other = SampleStream(files, 2, seed=4), SampleStream(files, 2, seed=4)
    other.first = 1
    from_start, later = iter(first), iter(other)
    next(from_start)
    for one, same in zip(next(from_start), next(later), strict=True):
        assert torch.equal(one.features, same.features)
        assert torch.equal(one.trace, same.trace)


def test_it_learns_from_corrected_slices(made: Path, shipped: Path, tmp_path: Path) -> None:
    files = sorted(made.glob("*.npz"))
    untrained = tmp_path / "untrained.pt"
    torch.manual_seed(3)
    save_weights(untrained, prior=build_prior(RunSettings()))
    tuned = train_reprojected(
        made, tmp_path / "run", untrained, seconds=120, steps=24, learning_rate=1e-3, batch_size=1
    )
    before, after = (
        float(np.mean([float(row["near hu"]) for row in score_stacks(path, files, 2)]))
        for path in (untrained, tuned)
    )
    assert after < 0.97 * before
    rows = score_stacks(shipped, files, 2)
    assert float(np.mean([float(row["near hu"]) for row in rows])) < before
    assert table(rows).startswith("| metal | slices |")


def test_a_run_goes_on_where_it_stopped(made: Path, cts: Path) -> None:
    kept = made / "00000.npz"
    before = kept.stat().st_mtime_ns
    (made / "00001.npz").unlink()
    stacks.make_stacks(read_inputs([cts], None, ["training"]), made, 2, WIDENING_MM)
    assert kept.stat().st_mtime_ns == before
    assert (made / "00001.npz").exists()


def test_splits_are_not_mixed(cts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several splits"):
        stacks.make_stacks(read_inputs([cts]), tmp_path / "out", 1, WIDENING_MM)
    assert not (tmp_path / "out").exists()


def test_a_stack_without_metal_found_teaches_nothing(made: Path, cts: Path) -> None:
    from spinemar_training.simulate.constructs import patients_of, scan_construct

    patients = patients_of(read_inputs([cts], None, ["training"]), made / "patients")
    scan = scan_construct(patients, stacks._KIND, 0, 0)
    dark = replace(scan.made.volume, hu=np.minimum(scan.made.volume.hu, 200.0))
    path = made / "dark.npz"
    stacks.save_stack(path, replace(scan, made=replace(scan.made, volume=dark)), WIDENING_MM)
    assert slices_of(path) == []
    stream = SampleStream([path, *sorted(made.glob("0*.npz"))], 1, seed=1)
    assert all(len(stream.batch(n)) == 1 for n in range(2))
    path.unlink()


def test_a_prior_that_learned_on_takes_the_place_of_the_models_own(
    shipped: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(shipped_model().parent, folder)
    tuned = tmp_path / "tuned.pt"
    stored = torch.load(shipped, weights_only=True)
    for values in stored["prior"].values():
        values.mul_(0.5)
    torch.save(stored, tuned)
    result = CliRunner().invoke(app, ["add-prior", str(tuned), "--model", str(folder)])
    assert result.exit_code == 0, result.output
    before = load_manifest(shipped_model())
    assert before.prior is not None
    names = sorted(path.name for path in folder.glob("manifest*.json"))
    assert [Path(line).name for line in result.output.split()] == names
    for name in names:
        now = load_manifest(folder / name)
        assert now.prior is not None
        assert now.prior.sha256 != before.prior.sha256
        assert now.prior.settings == before.prior.settings
    back = tmp_path / "back.pt"
    weights_of_model(folder, back, ["prior"])
    for name, values in torch.load(back, weights_only=True)["prior"].items():
        assert torch.allclose(values, stored["prior"][name], rtol=2e-3, atol=1e-6)
