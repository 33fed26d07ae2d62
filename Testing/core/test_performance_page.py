"""The page on speed says what was measured, and nothing else."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    path = ROOT / "scripts" / "make_performance_page.py"
    spec = importlib.util.spec_from_file_location("make_performance_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_from_the_kept_figures(maker) -> None:
    if not maker.KEPT.exists():
        pytest.skip("nothing was measured yet")
    results = json.loads(maker.KEPT.read_text(encoding="utf-8"))
    assert maker.PAGE.read_text(encoding="utf-8") == maker.page(results, maker.KEPT_GPU)


def test_without_a_gpu_it_says_so(maker, tmp_path) -> None:
    assert "Not measured" in maker.gpu(tmp_path / "missing.json")
    measured = {
        "agreement": [
            {
                "device": "cuda",
                "most_hu": 0.5,
                "rms_hu": 0.01,
                "same_decisions": True,
                "fallback": None,
            }
        ],
        "corrections": [{"device": "cuda", "peer": None, "slices": 100, "wall_s": 2.5}],
    }
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps(measured))
    text = maker.gpu(path)
    assert "| cuda | 0.50 | 0.010 | yes | - |" in text
    assert "| cuda | ours | 100 | 2.50 |" in text


def test_growth_is_fitted(maker) -> None:
    def one(slices: int, matrix: int, seconds: float) -> dict:
        return {
            "method": "nmar",
            "slices": slices,
            "matrix": matrix,
            "stages_s": {"total": seconds},
            "peak_mib_above_arrays": 300.0,
        }

    results = {
        "slices": [one(n, 512, 0.06 * n) for n in (50, 200, 1000)],
        "matrices": [one(8, n, 8 * 1e-7 * n**2) for n in (256, 512, 1024)],
    }
    text = maker.scaling_words(results)
    assert "power 1.00 (1: linear)" in text
    assert "power 2.00" in text
    assert "1,000 slices" in text
