"""Settings by name, wherever they come from: a misspelt one is named beside the nearest."""

from __future__ import annotations

import dataclasses

import pytest

from spinemar.dataset.pair_settings import PairSettings
from spinemar.errors import InputError
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.settings import CorrectionSettings
from spinemar.physics.scanner_settings import ScannerSettings

KINDS = (CorrectionSettings, GateParameters, PairSettings, ScannerSettings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_setting_is_named_beside_the_nearest(kind):
    for field in dataclasses.fields(kind):
        misspelt = field.name[:-1] + "_" + field.name[-1]
        with pytest.raises(InputError) as refused:
            kind.from_json({misspelt: 1})
        assert f"unknown entry '{misspelt}'" in refused.value.problem
        assert f"Did you mean '{field.name}'?" in refused.value.remedy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["", " ", "zzzzzzzz", "\x1b[31m", "x" * 5000])
def test_a_name_like_none_is_refused_in_a_short_sentence(kind, name):
    with pytest.raises(InputError, match="unknown entry") as refused:
        kind.from_json({name: 1})
    assert "Did you mean" not in refused.value.remedy
    assert len(refused.value.problem) < 200


def test_a_choice_is_named_beside_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'generator'"):
        CorrectionSettings.from_json({"method": "genertor"})
