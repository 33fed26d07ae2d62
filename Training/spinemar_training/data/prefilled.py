"""Prefilled slices: what a frozen prior leaves for the generator to do, made once and kept.

One file a slice, written whole or not at all, so that a cache can be made while the store behind
it still grows, and be read at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.pairs.encoding import decode_integrals, encode_hu, encode_integrals
from spinemar.errors import InputError
from spinemar_training.data.numbered import NumberedStream

FACTS = "prefilled.json"
_ALONE_SHARE = 0.15
"""Of slices that stand in for their neighbours, as in short volumes."""
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PrefilledSlice:
    """The middle of three slices, ready for the generator.

    Parameters
    ----------
    filled, measured : ndarray of float32, shape (3, views, bins)
        Line integrals; `filled` has the prior's rays in the trace.
    trace : ndarray of bool, shape (3, views, bins)
        Lost rays.
    target : ndarray of float32, shape (views, bins)
        Of the middle slice: the measured rays, in the trace those of the scan without metal,
        shifted to meet the measured ones beside it.
    input_hu, prior_hu, truth_hu : ndarray of float32, shape (rows, columns)
        The middle slice as scanned, corrected by the prior alone, and without metal.
    metal, scored, near : ndarray of bool, shape (rows, columns)
        Metal, and where errors count: outside metal, and within 20 mm of it.
    pixel_mm : float
    facts : dict
        Case, patient, metal...
    """

    filled: Float
    measured: Float
    trace: Mask
    target: Float
    input_hu: Float
    prior_hu: Float
    truth_hu: Float
    metal: Mask
    scored: Mask
    near: Mask
    pixel_mm: float
    facts: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write one file, at once or not at all; line integrals and HU in whole steps."""
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            arrays: dict[str, Any] = {
                "filled": encode_integrals(self.filled),
                "measured": encode_integrals(self.measured),
                "trace": np.packbits(self.trace, axis=-1),
                "target": encode_integrals(self.target),
                **{name: encode_hu(getattr(self, name)) for name in _IMAGES},
                **{name: np.packbits(getattr(self, name), axis=-1) for name in _MASKS},
                "pixel_mm": np.float32(self.pixel_mm),
                "facts": json.dumps(self.facts),
            }
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, path: Path) -> PrefilledSlice:
        """Read a file."""
        with np.load(path, allow_pickle=False) as stored:
            filled = decode_integrals(stored["filled"])
            images: dict[str, Any] = {name: stored[name].astype(np.float32) for name in _IMAGES}
            columns = images[_IMAGES[0]].shape[-1]
            masks: dict[str, Any] = {name: _unpacked(stored[name], columns) for name in _MASKS}
            return cls(
                filled,
                decode_integrals(stored["measured"]),
                _unpacked(stored["trace"], filled.shape[-1]),
                decode_integrals(stored["target"]),
                **images,
                **masks,
                pixel_mm=float(stored["pixel_mm"]),
                facts=json.loads(str(stored["facts"])),
            )


_IMAGES = ("input_hu", "prior_hu", "truth_hu")
_MASKS = ("metal", "scored", "near")


def _unpacked(bits: NDArray[np.uint8], columns: int) -> Mask:
    return np.unpackbits(bits, axis=-1, count=columns).astype(bool)


class PrefilledCache(Sequence[PrefilledSlice]):
    """The slices of a folder, in the order of their names.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(Path(folder).glob("*.npz"))
        if not self.paths:
            raise InputError(
                f"{folder} holds no prefilled slices.", "Make them with `spinemar-train prefill`."
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [PrefilledSlice.load(path) for path in self.paths[position]]
        return PrefilledSlice.load(self.paths[position])


class PrefilledBatch(NamedTuple):
    """As `PrefilledSlice`, stacked; sinograms cut to the bins about the traces.

    `filled`, `measured`, `trace` (b, 3, views, r) float32, `target` (b, 1, views, r); images
    and masks (b, rows, columns), `pixel_mm` (b,).
    """

    filled: Tensor
    measured: Tensor
    trace: Tensor
    target: Tensor
    prior_hu: Tensor
    truth_hu: Tensor
    metal: Tensor
    scored: Tensor
    near: Tensor
    pixel_mm: Tensor


def trace_window(trace: Mask, context: int, multiple: int) -> slice:
    """Bins about the traces (..., bins), symmetric about the centre, as the core cuts them."""
    bins = trace.shape[-1]
    used = np.flatnonzero(trace.reshape(-1, bins).any(0))
    reach = max(bins / 2 - used[0], used[-1] + 1 - bins / 2) if used.size else 0
    width = int(np.ceil(2 * (reach + context) / multiple)) * multiple
    if width >= bins:
        return slice(0, bins)
    return slice((bins - width) // 2, (bins + width) // 2)


def collate(slices: Sequence[PrefilledSlice], *, context: int = 32, multiple: int = 32) -> Any:
    """Stack slices to a `PrefilledBatch`."""
    traces = np.stack([one.trace for one in slices])
    window = trace_window(traces, context, multiple)

    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(one, name) for one in slices]))

    return PrefilledBatch(
        filled=stacked("filled")[..., window],
        measured=stacked("measured")[..., window],
        trace=torch.from_numpy(traces[..., window]).float(),
        target=stacked("target")[:, None, :, window],
        prior_hu=stacked("prior_hu"),
        truth_hu=stacked("truth_hu"),
        metal=stacked("metal"),
        scored=stacked("scored"),
        near=stacked("near"),
        pixel_mm=torch.tensor([one.pixel_mm for one in slices]),
    )


def mirrored_rays(sinogram: NDArray[Any], *, rows: bool) -> NDArray[Any]:
    """Mirror a sinogram (..., views, bins) as its image's rows, with `rows`, or its columns.

    Of the image f(-x, y) the projection is p(pi - theta, r), of f(x, -y) it is p(pi - theta, -r);
    the view at pi is the one at 0 with its bins reversed.
    """
    first, others = sinogram[..., :1, :], sinogram[..., :0:-1, :]
    if rows:
        return np.concatenate([first, others[..., ::-1]], axis=-2)
    return np.concatenate([first[..., ::-1], others], axis=-2)


def mirrored(one: PrefilledSlice, *, rows: bool) -> PrefilledSlice:
    """Mirror a slice: the rows' order with `rows`, else the columns'."""
    turned = partial(mirrored_rays, rows=rows)

    def flipped(image: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(image[::-1] if rows else image[:, ::-1])

    images: dict[str, Any] = {name: flipped(getattr(one, name)) for name in (*_IMAGES, *_MASKS)}
    return replace(
        one,
        filled=turned(one.filled),
        measured=turned(one.measured),
        trace=turned(one.trace),
        target=turned(one.target),
        **images,
    )


class PatchBatch(NamedTuple):
    """Blocks of views about the trace, float32; `pad` of the views on each side are context.

    `filled`, `measured`, `trace` (b, 3, views + 2 pad, r); `target` (b, 1, views, r).
    """

    filled: Tensor
    measured: Tensor
    trace: Tensor
    target: Tensor


def _cut_patch(
    path: Path, shape: tuple[int, int], pad: int, rng: np.random.Generator
) -> PatchBatch:
    """Cut a random block of views out of a file, its bins about the trace there.

    Only the block is decoded: whole slices cost five times as much, and teach no more.
    """
    views, bins = shape
    with np.load(path, allow_pickle=False) as stored:
        measured, filled = stored["measured"], stored["filled"]
        n_views, n_bins = filled.shape[-2:]
        trace = _unpacked(stored["trace"], n_bins)
        first = int(rng.integers(n_views))
        turned = rng.random() < 0.5
        reach = views + 2 * pad

        def block(values: NDArray[Any]) -> NDArray[Any]:
            # Far views, then those beyond half a turn as mirror images.
            found = _wrapped(values, first - pad, reach)
            return found[..., ::-1, ::-1] if turned else found

        marks = block(trace)
        used = np.flatnonzero(marks[1].any(0))
        middle = int(rng.choice(used)) if used.size else n_bins // 2
        start = int(np.clip(middle - bins // 2, 0, n_bins - bins))
        window = slice(start, start + bins)

        def cut(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(decode_integrals(block(values)[..., window]))

        target = cut(stored["target"])[None, pad:-pad]
        order = [2, 1, 0] if rng.random() < 0.5 else [0, 1, 2]
        marked = torch.from_numpy(marks[..., window].astype(np.float32))
        return PatchBatch(cut(filled)[order], cut(measured)[order], marked[order], target)


def _wrapped(values: NDArray[Any], first: int, count: int) -> NDArray[Any]:
    """`count` views from `first` on (may be negative): p(theta + pi, r) = p(theta, -r)."""
    turns, views = np.divmod(np.arange(first, first + count), values.shape[-2])
    found = values[..., views, :]
    odd = turns % 2 == 1
    found[..., odd, :] = found[..., odd, ::-1]
    return found


class PatchStream(NumberedStream):
    """Endless batches of patches.

    Parameters
    ----------
    folder : Path
    batch_size, seed : int
    shape : (views, bins)
    pad : int
        Views of context on each side.
    """

    def __init__(
        self, folder: Path, batch_size: int, seed: int, shape: tuple[int, int], pad: int
    ) -> None:
        super().__init__(PrefilledCache(folder), batch_size, seed)  # type: ignore[arg-type]
        self._shape, self._pad = shape, pad

    def collect(self, positions: list[int], rng: np.random.Generator) -> PatchBatch:
        """Read slices, cut their patches, put them together."""
        paths = self.store.paths  # type: ignore[attr-defined]
        patches = [_cut_patch(paths[p], self._shape, self._pad, rng) for p in positions]
        return PatchBatch(*(torch.stack(parts) for parts in zip(*patches, strict=True)))


class PrefilledStream(NumberedStream):
    """Endless batches of prefilled slices, varied by what changes no physics.

    Mirror images, the neighbours' order, and the middle slice in place of its neighbours.

    Parameters
    ----------
    folder : Path
    batch_size, seed : int
    """

    def __init__(self, folder: Path, batch_size: int, seed: int) -> None:
        super().__init__(PrefilledCache(folder), batch_size, seed)  # type: ignore[arg-type]

    def collect(self, positions: list[int], rng: np.random.Generator) -> PrefilledBatch:
        """Read slices and put them together."""
        varied = [self._varied(self.store[p], rng) for p in positions]
        batch: PrefilledBatch = collate(varied)
        return batch

    def _varied(self, one: PrefilledSlice, rng: np.random.Generator) -> PrefilledSlice:
        for rows in (False, True):
            if rng.random() < 0.5:
                one = mirrored(one, rows=rows)
        order = [1, 1, 1] if rng.random() < _ALONE_SHARE else [0, 1, 2]
        order = order[::-1] if rng.random() < 0.5 else order
        return replace(
            one,
            filled=one.filled[order],
            measured=one.measured[order],
            trace=one.trace[order],
        )
