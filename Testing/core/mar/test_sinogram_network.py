"""The generator sees the bins around a trace, and changes every ray of it and no other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from spinemar.mar.inpainters.learned.sinogram_network import SinogramNetwork, ThreeSlices

VIEWS, BINS = 32, 96


class _AddsOne:
    """A network that adds one everywhere, and notes how many bins it was shown."""

    batch = 1

    def __init__(self) -> None:
        self.widths: list[int] = []

    def run(self, inputs):
        self.widths.append(inputs["sinogram"].shape[-1])
        return {"inpainted": inputs["sinogram"][:, 1:2] + 1.0}


def _network(session: _AddsOne) -> SinogramNetwork:
    shape = (None, 3, VIEWS // 2, None)
    network = SimpleNamespace(
        file="generator.onnx",
        settings={"views": VIEWS // 2, "bins_multiple": 8, "bins_context": 4},
        inputs={"sinogram": shape, "trace": shape},
        outputs={"inpainted": shape},
    )
    return SinogramNetwork(SimpleNamespace(bins=BINS, views=VIEWS), network, session)


@pytest.mark.parametrize("bins", [(40, 44), (45, 51), (3, 9), (80, 96), (0, 96), (70, 72)])
@pytest.mark.parametrize("neighbour", [False, True])
def test_every_ray_of_the_trace_is_refined_and_no_other(bins, neighbour) -> None:
    trace = np.zeros((VIEWS, BINS), dtype=bool)
    trace[:, slice(*bins)] = True
    empty = np.zeros_like(trace)
    filled = np.random.default_rng(1).random((3, VIEWS, BINS)).astype(np.float32)
    session = _AddsOne()
    other = trace if neighbour else empty
    three = ThreeSlices(tuple(filled), (other, trace, empty), tuple(filled))
    (refined,) = _network(session).refine([three])
    np.testing.assert_allclose(refined, filled[1] + trace, atol=1e-5)


def test_it_is_shown_no_more_bins_than_it_needs() -> None:
    trace = np.zeros((VIEWS, BINS), dtype=bool)
    trace[:, 44:52] = True
    filled = np.zeros((3, VIEWS, BINS), dtype=np.float32)
    session = _AddsOne()
    _network(session).refine([ThreeSlices(tuple(filled), (trace,) * 3, tuple(filled))])
    assert session.widths == [16]  # eight bins of the trace, four on either side
