"""A folder of the AAPM benchmark's form becomes a submission that its scoring program reads."""

from __future__ import annotations

import functools
import json
import shutil
import struct

import numpy as np
import pytest
from scipy import ndimage

from spinemar.cli.main import main
from spinemar.errors import InputError
from spinemar.evaluation.aapm.folders import fields_of, raw_scans, read_fields
from spinemar.io import write_volume
from spinemar.mar.correct import correct_volume
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu, mu_to_hu
from spinemar.volume import CTVolume

SIDE = 512


@functools.cache
def slice_with_metal(seed: int, fov_mm: float, streaks: bool = True) -> np.ndarray:
    """A trunk with a vertebra and two rods, through which rays harden."""
    pixel = fov_mm / SIDE
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * pixel
    hu = np.where((x / 75) ** 2 + (y / 60) ** 2 < 1, 40.0, -1000.0)
    hu[np.hypot(x, y - 20) < 16] = 300.0
    hu = ndimage.gaussian_filter(hu, 0.7)
    if streaks:
        rays = SinogramGeometry.for_image((SIDE, SIDE), (pixel, pixel), n_views=360)
        radon = RadonTransform((SIDE, SIDE), (pixel, pixel), rays, threads=1)
        rods = (np.abs(x) - 14) ** 2 + (y - 10) ** 2 < 5**2
        mu = np.stack([hu_to_mu(hu), 0.3 * rods]).astype(np.float32)
        tissue, metal = radon.forward(mu)
        hu = mu_to_hu(radon.fbp((tissue + np.clip(1.6 * (1 - np.exp(-metal)), 0, 8))[None]))[0]
        hu[rods] = 7000.0
    return (hu + np.random.default_rng(seed).normal(0, 6, hu.shape)).astype("<f4")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """29 slices, most of them the same, in two folders, with what must be passed over."""
    folder = tmp_path_factory.mktemp("aapm")
    lines = ["Scoring data of the AAPM CT-MAR challenge, 2024", "512x512, float32", ""]
    known = {400.0: slice_with_metal(1, 400.0), 220.16: slice_with_metal(2, 220.16)}
    for number in range(1, 30):
        fov = 220.16 if number > 20 else 400.0
        place = folder / ("head" if fov < 300 else "body")
        place.mkdir(exist_ok=True)
        known[fov].tofile(place / f"test_metalart_img{number}_512x512x1.raw")
        lines.append(f"img{number}: FOV = {fov:g} mm")
    (folder / "body" / "test_metalart_sino1_900x1000x1.raw").write_bytes(b"0" * 3_600_000)
    known[400.0].tofile(folder / "body" / "test_nometal_img1_512x512x1.raw")
    (folder / "README.txt").write_text("\n".join(lines))
    return folder


def as_the_scoring_program_reads(path):
    data = path.read_bytes()
    return np.array(struct.unpack(f"{len(data) // 4}f", data), np.single).reshape(SIDE, SIDE)


@pytest.mark.slow
def test_a_submission_is_what_the_correction_makes_of_each_slice(scans, tmp_path, capsys):
    output = tmp_path / "submission"
    command = ["benchmark", "aapm", str(scans), "-o", str(output), "--method", "li", "--json"]
    assert main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["complete"] is True
    raw = sorted(path.name for path in output.glob("*.raw"))
    assert raw == [f"{number:02d}.raw" for number in range(1, 30)]
    assert all((output / name).stat().st_size == SIDE * SIDE * 4 for name in raw)
    for number, fov_mm in ((1, 400.0), (29, 220.16)):
        pixel = fov_mm / SIDE
        scan = slice_with_metal(1 if number == 1 else 2, fov_mm)
        volume = CTVolume(np.float32(scan)[None], np.diag([-pixel, -pixel, 1.0, 1.0]))
        known = correct_volume(volume, method="li").volume.hu[0]
        np.testing.assert_array_equal(
            as_the_scoring_program_reads(output / f"{number:02d}.raw"), known
        )
        assert not np.array_equal(known, scan)
        assert known.max() > 6000  # the metal is there, above every threshold of the scoring
        one = facts["cases"][number - 1]
        assert (one["case"], one["fov_mm"]) == (number, fov_mm)
    told = json.loads((output / "submission.json").read_text())
    assert told["settings"]["method"] == "li"
    assert len(told["cases"]) == 29
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command[:3], "-o", str(scans), "--overwrite"]) == 2
    assert "something else" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("01.raw: 400 mm", {1: 400.0}), ("case 7: 400 mm", {7: 400.0}),
        ("12 220.16", {12: 220.16}), ("scoring_img03_512x512x1.raw - FOV 350mm", {3: 350.0}),
        ("There are 29 cases of 512 x 512.", {}), ("Case 4 is a head.", {}), ("", {}),
    ],
)  # fmt: skip
def test_fields_of_view_are_read_from_a_readme(tmp_path, text, known):
    (tmp_path / "README.txt").write_text(f"About\n{text}\n")
    assert read_fields(tmp_path / "README.txt") == known


def test_fields_of_view_are_read_from_a_table(tmp_path):
    (tmp_path / "f.csv").write_text("case,fov_mm\n1,400\n2,220.16\n")
    assert fields_of(tmp_path, [1, 2], None, tmp_path / "f.csv") == {1: 400.0, 2: 220.16}
    assert fields_of(tmp_path, [1, 2], 300.0, None) == {1: 300.0, 2: 300.0}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("no folder", "is no folder"), ("empty", "no raw slice"), ("twice", "there twice"),
        ("no field", "case 3 is not known"), ("two fields", "does not say one"),
        ("field in cm", "does not say one"), ("not a number", "no numbers"),
        ("constant", "01.raw:"), ("fields twice", "given twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_submitted_leaves_nothing(tmp_path, capsys, spoil, told):
    folder, more = tmp_path / "in", []
    folder.mkdir()
    scan = slice_with_metal(1, 400.0).copy()
    for number in (1, 2, 3):
        scan.tofile(folder / f"{number:02d}.raw")
    readme = "01.raw 400\n02.raw 400\n03.raw 400\n"
    if spoil == "no folder":
        shutil.rmtree(folder)
    elif spoil == "empty":
        for path in folder.iterdir():
            path.write_bytes(b"short")
    elif spoil == "twice":
        scan.tofile(folder / "img2.raw")
    elif spoil == "no field":
        readme = "01.raw 400\n02.raw 400\n"
    elif spoil == "two fields":
        readme += "03.raw 220\n"
    elif spoil == "field in cm":
        readme = readme.replace("400", "40")
    elif spoil == "not a number":
        scan[5, 5] = np.nan
        scan.tofile(folder / "01.raw")
    elif spoil == "constant":
        np.zeros_like(scan).tofile(folder / "01.raw")
    else:
        (tmp_path / "in" / "f.csv").write_text("1,400\n2,400\n3,400\n")
        more = ["--fov-mm", "400", "--fields", str(folder / "f.csv")]
    if folder.exists():
        (folder / "README.txt").write_text(readme)
    command = ["benchmark", "aapm", str(folder), "-o", str(tmp_path / "out"), "--method", "li"]
    assert main([*command, *more]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_scans_are_found_by_number_wherever_they_lie(scans):
    found = raw_scans(scans)
    assert list(found) == list(range(1, 30))
    assert found[1].name == "test_metalart_img1_512x512x1.raw"
    with pytest.raises(InputError):
        raw_scans(scans / "README.txt")


@pytest.fixture
def pictures(tmp_path):
    """Two cases by name in folders of truths, scans and metals."""
    fov_mm = 400.0
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * (fov_mm / SIDE)
    metal = ((np.abs(x) - 14) ** 2 + (y - 10) ** 2 < 25).astype(np.float32)
    for name, seed in (("01", 1), ("02", 2)):
        for kind, hu in (
            ("truths", slice_with_metal(seed, fov_mm, streaks=False)),
            ("scans", slice_with_metal(seed, fov_mm)),
            ("metals", metal),
        ):
            (tmp_path / kind).mkdir(exist_ok=True)
            hu.astype("<f4").tofile(tmp_path / kind / f"{name}.raw")
        perfect = slice_with_metal(seed, fov_mm, streaks=False).copy()
        perfect[metal > 0.5] = 7000
        (tmp_path / "perfect").mkdir(exist_ok=True)
        perfect.tofile(tmp_path / "perfect" / f"{name}.raw")
    return tmp_path


def test_the_card_of_any_pair_of_folders(pictures, capsys):
    def card(results, *more):
        command = ["benchmark", "card", "truths", results, "--scans", "scans", "--metals", "metals"]
        paths = [str(pictures / one) if (pictures / one).exists() else one for one in command]
        code = main([*paths, "--fov-mm", "400", *more])
        return code, capsys.readouterr()

    code, said = card("perfect", "--json")
    assert code == 0
    found = json.loads(said.out)
    assert set(found["cases"]) == {"01", "02"}
    for name in ("ct_number", "streaks", "integrity", "bone", "metal", "proton_range", "sharpness"):
        assert found["mean"][name] == pytest.approx(0, abs=0.05), name
    code, said = card("scans", "--json")
    worst = json.loads(said.out)["mean"]
    assert worst["ct_number"] == worst["streaks"] == worst["integrity"] == 4.0
    code, said = card("scans")
    assert "mean" in said.out
    assert "4.00" in said.out


def test_cards_need_the_same_names_and_sizes(pictures, capsys):
    command = ["benchmark", "card", *(str(pictures / n) for n in ("truths", "perfect")),
               "--scans", str(pictures / "scans"),
               "--metals", str(pictures / "metals")]  # fmt: skip
    assert main(command) == 2
    assert "do not say how large" in capsys.readouterr().err
    (pictures / "truths" / "02.raw").unlink()
    assert main([*command, "--fov-mm", "400"]) == 2
    assert "There is no truth of 02" in capsys.readouterr().err
    shutil.rmtree(pictures / "metals")
    assert main([*command, "--fov-mm", "400"]) == 2
    assert "holds no picture" in capsys.readouterr().err


def test_cards_of_volumes(pictures, capsys):
    for kind in ("truths", "perfect", "scans", "metals"):
        for path in (pictures / kind).glob("*.raw"):
            hu = np.fromfile(path, "<f4").reshape(1, SIDE, SIDE)
            pixel = 400 / SIDE
            volume = CTVolume(hu, np.diag([-pixel, -pixel, 1.0, 1.0]))
            write_volume(path.with_suffix(".nii.gz"), volume)
            path.unlink()
    command = ["benchmark", "card", *(str(pictures / n) for n in ("truths", "perfect")),
               "--scans", str(pictures / "scans"),
               "--metals", str(pictures / "metals")]  # fmt: skip
    assert main([*command, "--json"]) == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)["mean"]["metal"] == pytest.approx(0, abs=0.05)
