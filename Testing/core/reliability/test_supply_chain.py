"""The software's parts are pinned, hashed and licensed; what it is for is said everywhere."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from Testing.core.reliability.conftest import ROOT

LOCKED = (ROOT / "requirements" / "locked.txt").read_text(encoding="utf-8")


def _third_party() -> ModuleType:
    path = ROOT / "scripts" / "third_party.py"
    spec = importlib.util.spec_from_file_location("third_party", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_locked_package_has_its_version_and_hashes() -> None:
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n?", "", LOCKED, flags=re.M).strip())
    assert len(entries) > 80
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry[:80]
    assert "http" not in re.sub(r"aiohttp", "", LOCKED)  # no address of anybody's index


def test_every_dependency_is_locked_and_licensed() -> None:
    third_party = _third_party()
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", LOCKED, re.M)}
    page = (ROOT / "Docs" / "third-party.md").read_text(encoding="utf-8")
    for name, uses in third_party.dependencies().items():
        assert f"| {name} |" in page, f"run scripts/third_party.py: {name} is missing"
        if name != "torch" and set(uses) - {"bench", "figures", "mutation"}:
            assert _normal(name) in locked, f"run make lock: {name} is missing"
    assert "see the package" not in page
    run = [line for line in page.splitlines() if "| run |" in line]
    assert run
    assert not any("GPL" in line for line in run)  # what everybody installs is permissive


def test_the_intended_use_is_said_where_users_meet_it() -> None:
    places = (
        "README.md", "SECURITY.md", "Docs/index.md", "Docs/reliability.md",
        "spinemar/report/report.html.j2", "spinemar/planning/report/plan_report.html.j2",
    )  # fmt: skip
    for place in places:
        text = " ".join((ROOT / place).read_text(encoding="utf-8").lower().split())
        assert "not a medical device" in text, place
    for place in (
        "MetalArtifactReduction/MetalArtifactReduction.py",
        "SpineImplantPlanner/SpineImplantPlanner.py",
        "MetalArtifactReductionCLI/MetalArtifactReductionCLI.xml",
    ):
        assert "research" in (ROOT / place).read_text(encoding="utf-8").lower(), place
    done = subprocess.run(
        [sys.executable, "-m", "spinemar.cli.main", "--help"], capture_output=True,
        encoding="utf-8", check=False,
    )  # fmt: skip
    assert "Not a medical device" in done.stdout


def test_audit_never_calls_unchecked_packages_sound(tmp_path: Path) -> None:
    """A mirror without advisories knows no package, and pip-audit calls that a success."""

    def said(packages: list[dict[str, object]]) -> tuple[str, int]:
        report = tmp_path / "audit.json"
        report.write_text(json.dumps({"dependencies": packages}))
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / "audit_verdict.py", report, tmp_path / "log"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout, done.returncode

    unknown = {"name": "a", "skip_reason": "not found"}
    sound = {"name": "b", "version": "1", "vulns": []}
    broken = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1"}]}
    assert said([unknown]) == (
        "audit: the advisory service knows none of the packages from here, nothing was checked\n",
        0,
    )
    assert said([unknown, sound])[0] == "audit: no known vulnerability in 1 of 2 packages\n"
    assert said([sound, broken])[1] == 1
    (tmp_path / "audit.json").unlink()
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "audit_verdict.py", tmp_path / "no", tmp_path / "no"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "nothing was checked" in done.stdout) == (0, True)


# Its makers publish from a branch, and no commit of it could be verified when others were pinned.
BY_BRANCH = {"pypa/gh-action-pypi-publish"}


def test_actions_are_pinned_by_hash_and_may_only_read() -> None:
    import yaml

    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"uses: ([\w./-]+)@(\S+)(?: # v([\d.]+))?$", text, re.MULTILINE)
        assert len(used) == text.count("uses:"), path
        for action, commit, version in used:
            if action not in BY_BRANCH:
                assert re.fullmatch(r"[0-9a-f]{40}", commit), (path, action)
                assert version, (path, action)
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {"contents": "read"}, path
        for job in workflow["jobs"].values():
            # Publishing proves who it is to PyPI by a token of its own; nothing else may write.
            assert job.get("permissions", {}) in ({}, {"id-token": "write"}), path
            for step in job["steps"]:
                if str(step.get("uses", "")).startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False, path


def test_every_target_runs_in_a_workflow() -> None:
    """What nobody runs breaks unseen. What asks for a GPU or a checkout of Slicer is for people."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    run = "".join(p.read_text("utf-8") for p in (ROOT / ".github" / "workflows").glob("*.yml"))
    run += (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "scripts/test_stack.sh" in run  # what test-slicer-stacks runs, one a job
    for_people = {"help", "bench-gpu", "lock", "clean", "test-slicer-sources"}
    for target in targets - for_people - {"test-slicer-stacks"}:
        assert re.search(rf"(make|-) {target}\b", run), target
