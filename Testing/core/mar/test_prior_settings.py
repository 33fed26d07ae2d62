"""What a manifest may say of the prior network: sense is taken, nonsense refused, at the edge."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from spinemar.errors import ModelError
from spinemar.mar.inpainters.learned.prior_network import PriorSettings

SOUND = {"pixel_mm": 0.8, "multiple": 16, "margin_mm": 20.0, "widening_mm": 1.5}
SCALE = {"scale_hu": 1000.0, "low_hu": -1024.0, "high_hu": 3071.0}


def _network(**changed) -> SimpleNamespace:
    settings = {name: changed.get(name, value) for name, value in SOUND.items()}
    scale = {name: changed.get(name, value) for name, value in SCALE.items()}
    return SimpleNamespace(role="prior", file="prior.onnx", settings=settings, normalisation=scale)


@pytest.mark.parametrize(
    ("name", "value"),
    [("pixel_mm", 0.21), ("pixel_mm", 4.9), ("scale_hu", 1e-3), ("low_hu", 3070.0),
     ("high_hu", -1023.0), ("multiple", 1), ("multiple", 256), ("margin_mm", 0),
     ("margin_mm", 199.9), ("widening_mm", 0), ("widening_mm", 16.0)],
)  # fmt: skip
def test_sense_is_taken_as_it_is(name, value) -> None:
    assert getattr(PriorSettings.of(_network(**{name: value})), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("pixel_mm", 0.2), ("pixel_mm", 5), ("scale_hu", 0), ("scale_hu", -1), ("low_hu", 3071.0),
     ("high_hu", -1024.0), ("multiple", 0), ("multiple", 257), ("margin_mm", -0.1),
     ("margin_mm", 200), ("widening_mm", -0.1), ("widening_mm", 16.0 + 0.1)],
)  # fmt: skip
def test_nonsense_is_refused(name, value) -> None:
    with pytest.raises(ModelError, match="make no sense"):
        PriorSettings.of(_network(**{name: value}))


@pytest.mark.parametrize("value", [None, True, "16", [16]])
@pytest.mark.parametrize("name", [*SOUND, *SCALE])
def test_what_is_no_number_is_missing(name, value) -> None:
    with pytest.raises(ModelError, match=f"has no setting {name}"):
        PriorSettings.of(_network(**{name: value}))


def test_models_before_the_widened_trace_have_none() -> None:
    network = _network()
    del network.settings["widening_mm"]
    assert PriorSettings.of(network).widening_mm == 0.0
