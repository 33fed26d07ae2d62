"""The shipped model must not become worse: frozen scenes of the sample CT, made from seeds here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from spinemar_study.scenes.methods import study_methods  # noqa: E402
from spinemar_study.studies.regression import (  # noqa: E402
    changed_scenes,
    frozen_scores,
    is_worse,
    predecessor,
    ratio_to_shipped,
)
from spinemar_study.study_settings import RegressionSettings  # noqa: E402
from spinemar_training.run_settings import read_yaml  # noqa: E402

from spinemar.demo.sample_data import sample_ct  # noqa: E402
from spinemar.errors import SpinemarError  # noqa: E402

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "Training" / "configs" / "study-regression.yaml"
FROZEN = ROOT / "Docs" / "results" / "regression.json"
AGAIN = "spinemar-study freeze Training/configs/study-regression.yaml -o " + str(
    FROZEN.relative_to(ROOT)
)


@pytest.fixture(scope="module")
def stored() -> list[dict]:
    return json.loads(FROZEN.read_text("utf-8"))["rows"]


@pytest.fixture(scope="module")
def found(monkeypatch_module) -> list[dict]:
    try:
        sample_ct()
    except SpinemarError as error:
        pytest.skip(f"the sample CT cannot be fetched: {error}")
    monkeypatch_module.chdir(ROOT)
    return frozen_scores(read_yaml(RegressionSettings, CONFIG), study_methods(("nmar", "shipped")))


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.slow
def test_the_model_is_no_worse_than_the_one_whose_scores_are_frozen(stored, found):
    changed = changed_scenes(stored, found)
    assert not changed, f"The simulator makes other scenes now ({changed}); run `{AGAIN}`."
    ratio = ratio_to_shipped(stored, found)
    assert not is_worse(ratio), (
        f"The model in Resources/Models has {ratio.mean:.3f} ({ratio.low:.3f}-{ratio.high:.3f}) "
        f"times the error of the one that was frozen. If that is wanted: `{AGAIN}`."
    )


@pytest.mark.slow
def test_the_same_comparison_catches_a_model_that_is_only_as_good_as_nmar(stored, found):
    assert is_worse(ratio_to_shipped(stored, found, "nmar"))


def rows(values):
    return [
        {"scene": str(n), "rmse_hu": {"input": 80.0, "shipped": v}} for n, v in enumerate(values)
    ]


def test_worse_means_beyond_the_interval_and_beyond_rounding():
    shipped = rows([20.0, 30.0, 40.0, 50.0, 60.0, 25.0])

    def verdict(factors) -> bool:
        new = rows([r["rmse_hu"]["shipped"] * f for r, f in zip(shipped, factors, strict=True)])
        return is_worse(ratio_to_shipped(shipped, new))

    assert verdict([1.05, 1.04, 1.06, 1.05, 1.03, 1.05])
    assert not verdict([1.0] * 6)
    assert not verdict([1.001] * 6), "rounding"
    assert not verdict([0.9, 1.15, 0.92, 1.12, 0.95, 1.1]), "within the interval"
    assert not verdict([0.8] * 6), "better"


def test_scenes_that_another_simulator_made_are_noticed():
    stored, other = rows([20.0, 30.0]), rows([20.0, 30.0])
    assert changed_scenes(stored, other) == []
    other[1]["rmse_hu"]["input"] *= 1.05
    assert changed_scenes(stored, other) == ["1"]
    assert changed_scenes(stored, other[:1]) == ["1"]
    assert np.isfinite(ratio_to_shipped(stored, other).mean)


def test_a_new_model_is_compared_with_the_one_it_replaces_and_only_then():
    old, new = {"version": "1", "sha256": "a"}, {"version": "2", "sha256": "b"}
    stored = {"model": old, "rows": rows([20.0, 30.0]), "summary": {}}
    found = predecessor(stored, new, rows([10.0, 15.0]))
    assert found["model"] == old
    assert found["ratio"]["mean"] == pytest.approx(0.5)
    again = {"model": new, "rows": rows([10.0, 15.0]), "summary": {"predecessor": found}}
    assert predecessor(again, new, rows([10.0, 15.0])) == found
    assert predecessor(None, new, rows([10.0])) is None
    assert predecessor(stored, new, rows([10.0])) is None, "other scenes"
