"""Somebody else's network, trained from an export of pairs, without SpineMAR in it.

A U-Net (Ronneberger, Fischer, Brox 2015, doi 10.1007/978-3-319-24574-4_28) that adds a change to
the image (Jin et al. 2017, doi 10.1109/TIP.2017.2713099). It is given the uncorrected image and the
one that linear interpolation made, as CNN-MAR is (Zhang and Yu 2018, doi 10.1109/TMI.2018.2823083).
Needs torch, h5py, scikit-image and nibabel.

    python train_elsewhere.py train deeplesion -o unet.pt --minutes 25
    python train_elsewhere.py correct unet.pt cases -o results
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

WATER_PER_CM, SIDE = 0.192, 416
CROP, BATCH = 128, 4


class UNet(nn.Module):
    """Four levels, two convolutions each; the last one starts at no change."""

    def __init__(self, width=16):
        super().__init__()
        widths = [width * 2**n for n in range(4)]
        self.down = nn.ModuleList(
            double(before, after) for before, after in zip([2, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            double(low + high, high)
            for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x):
        """Return the corrected image, (n, 1, rows, columns); x is (n, 2, ...): scan and LI."""
        linear, passed = x[:, 1:], []
        for level in self.down:
            passed.append(level(x))
            x = nn.functional.max_pool2d(passed[-1], 2)
        x = passed.pop()
        for level in self.up:
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = level(torch.cat([x, passed.pop()], dim=1))
        return linear + self.last(x)


def double(before, after):
    """Two convolutions of 3 x 3, each normalised."""
    layers = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
    return nn.Sequential(*layers)


def scaled(values, of_water):
    """Return (values / of_water - 1), thousands of HU, within what tissue and metal need."""
    return np.clip(np.asarray(values, np.float32) / of_water - 1.0, -1.0, 3.0)


def read_pairs(folder):
    """Read `train_640geo_dir.txt` as the public loaders do; (n, 4, 416, 416)."""
    import h5py
    from skimage.transform import resize

    masks = np.load(folder / "trainmask.npy", mmap_mode="r")
    pairs = []
    for number, line in enumerate((folder / "train_640geo_dir.txt").read_text().splitlines()):
        truth = folder / "train_640geo" / line
        with h5py.File(truth) as gt, h5py.File(truth.with_name(f"{number}.h5")) as file:
            images = [scaled(data[()], WATER_PER_CM)
                      for data in (file["ma_CT"], file["LI_CT"], gt["image"])]  # fmt: skip
        metal = resize(masks[:, :, number].astype(np.float32), (SIDE, SIDE)) > 0.1
        pairs.append(np.stack([*images, metal]))
    return torch.from_numpy(np.stack(pairs).astype(np.float32))


def train(folder, output, minutes, seed=0):
    """Train until the minutes of processor time are over; a run that was stopped goes on."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    pairs, net = read_pairs(folder / "train"), UNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    spent = 0.0
    if output.exists():
        state = torch.load(output, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        spent = state["cpu_seconds"]
    rng = np.random.default_rng([seed, int(spent)])
    started, saved, losses = time.process_time(), 0.0, []
    while spent < 60 * minutes:
        for group in optimizer.param_groups:
            group["lr"] = 0.5e-3 * (1 + math.cos(math.pi * spent / (60 * minutes)))
        chosen = [drawn(pairs[int(rng.integers(len(pairs)))], rng) for _ in range(BATCH)]
        batch = torch.stack(chosen)
        away = 1.0 - batch[:, 3:]
        loss = ((net(batch[:, :2]) - batch[:, 2:3]).abs() * away).sum() / away.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(1000 * loss.item())
        now = time.process_time() - started
        spent += now - saved
        saved = now
        if len(losses) % 50 == 0:
            print(f"{spent:6.0f} s  {np.mean(losses[-50:]):6.1f} HU", flush=True)
        if len(losses) % 100 == 0 or spent >= 60 * minutes:
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            partial = output.with_suffix(".part")
            torch.save({**state, "cpu_seconds": spent}, partial)
            partial.replace(output)


def drawn(pair, rng):
    """Draw a crop, perhaps mirrored from left to right."""
    row, column = rng.integers(SIDE - CROP + 1, size=2)
    crop = pair[:, row : row + CROP, column : column + CROP]
    return crop.flip(-1) if rng.random() < 0.5 else crop


def correct(model, cases, output):
    """Correct `CASE/scan.nii.gz` with `CASE/li.nii.gz`, and write `output/CASE.nii.gz`."""
    import nibabel
    from skimage.transform import resize

    net = UNet()
    net.load_state_dict(torch.load(model, weights_only=True)["net"])
    net.eval()
    output.mkdir(exist_ok=True)
    for scan in sorted(cases.glob("*/scan.nii.gz")):
        stored = nibabel.load(scan)
        hu = np.float32(stored.dataobj).T
        linear = np.float32(nibabel.load(scan.with_name("li.nii.gz")).dataobj).T
        corrected = []
        for pictures in zip(hu, linear, strict=True):
            # To the layout's grid and back: the change is resized, not the image.
            small = [scaled(resize(p, (SIDE, SIDE), anti_aliasing=True) + 1000.0, 1000.0)
                     for p in pictures]  # fmt: skip
            x = torch.from_numpy(np.stack(small))[None]
            with torch.no_grad():
                change = 1000.0 * (net(x) - x[:, 1:])[0, 0].numpy()
            corrected.append(pictures[1] + resize(change, hu.shape[1:]))
        image = nibabel.Nifti1Image(np.stack(corrected).T.astype(np.float32), stored.affine)
        nibabel.save(image, output / f"{scan.parent.name}.nii.gz")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    one = tasks.add_parser("train")
    one.add_argument("folder", type=Path)
    one.add_argument("-o", "--output", type=Path, required=True)
    one.add_argument("--minutes", type=float, default=25.0)
    two = tasks.add_parser("correct")
    two.add_argument("model", type=Path)
    two.add_argument("cases", type=Path)
    two.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    if asked.task == "train":
        train(asked.folder, asked.output, asked.minutes)
    else:
        correct(asked.model, asked.cases, asked.output)
