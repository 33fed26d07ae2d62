"""The entry for Slicer's Extensions Index, by the index's own rules, and all that it points to.

Rules: the catalogue entry schema v1.0.1 and `scripts/check_description_files.py` of
https://github.com/Slicer/ExtensionsIndex, in our own words so that no network is needed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft7Validator

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ROOT / "SpineMAR.json"
SCHEMA_FILE = "slicer-extension-catalog-entry-schema-v1.0.1.json"
TEXT = {"type": "string", "minLength": 1}
SCHEMA = {
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": TEXT,
        "category": TEXT,
        "scm_url": TEXT,
        "scm_revision": TEXT,
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": TEXT},
        "build_subdirectory": TEXT,
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
# Those of the index's categories that an extension like this one could choose.
CATEGORIES = {"Filtering", "Planning", "Simulation", "Tomographic Reconstruction"}
LARGEST_CLONE_BYTES = 100e6


@pytest.fixture
def entry() -> dict[str, object]:
    return json.loads(ENTRY.read_text(encoding="utf-8"))


@pytest.fixture
def cmake() -> dict[str, str]:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    found = dict(re.findall(r'set\(EXTENSION_(\w+)\s+"([^"]*)"\s*\)', text))
    found["PROJECT"] = re.search(r"project\((\w+)\)", text)[1]
    return found


def in_tree(url: str, scm_url: str) -> Path:
    """File of this repository that a raw address on its main branch shows."""
    owner_and_name = urlsplit(scm_url).path.removesuffix(".git")
    prefix = f"https://raw.githubusercontent.com{owner_and_name}/main/"
    assert url.startswith(prefix), url
    return ROOT / url.removeprefix(prefix)


def test_entry_keeps_the_schema(entry) -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert not list(Draft7Validator(SCHEMA).iter_errors(entry))
    assert entry["$schema"].split("#")[0].endswith(f"/{SCHEMA_FILE}")


@pytest.mark.parametrize(
    "change",
    [{"tier": 6}, {"tier": "1"}, {"scmurl": "x"}, {"category": None}, {"build_dependencies": "NA"}],
)
def test_the_schema_refuses_what_the_index_refuses(entry, change) -> None:
    assert list(Draft7Validator(SCHEMA).iter_errors(entry | change))


def test_entry_agrees_with_cmake(entry, cmake) -> None:
    assert cmake["PROJECT"] == ENTRY.stem
    assert entry["category"] == cmake["CATEGORY"]
    assert entry["category"] in CATEGORIES
    assert str(entry["tier"]) == cmake["TIER"]
    assert cmake["DEPENDS"] == "NA"
    assert entry["build_dependencies"] == []


def test_one_home_page_everywhere(entry, cmake) -> None:
    url = urlsplit(str(entry["scm_url"]))
    assert url.scheme in ("git", "https")
    home = str(entry["scm_url"]).removesuffix(".git")
    assert cmake["HOMEPAGE"] == home
    tomllib = pytest.importorskip("tomllib")  # Python 3.11 and later
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Homepage"] == home
    for name in ("CITATION.cff", "mkdocs.yml", "README.md"):
        assert home in (ROOT / name).read_text(encoding="utf-8"), name
    # The index wants "Slicer" in a repository's name unless it serves without Slicer as well.
    assert "slicer" in home.lower() or project["scripts"]["spinemar"]


def test_icon_is_a_128_pixel_png(entry, cmake) -> None:
    from PIL import Image

    icons = [in_tree(cmake["ICONURL"], entry["scm_url"]), *ROOT.glob("*/Resources/Icons/*.png")]
    for path in icons:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("PNG", (128, 128)), path


def test_screenshots_are_pictures_of_this_repository(entry, cmake) -> None:
    from PIL import Image

    urls = cmake["SCREENSHOTURLS"].split()
    assert len(urls) >= 2, "one for each module"
    for url in urls:
        with Image.open(in_tree(url, entry["scm_url"])) as image:
            assert min(image.size) >= 480, url


def test_home_page_says_what_the_index_asks_for(cmake) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {cmake['PROJECT']}")
    assert "Apache-2.0" in readme
    assert (ROOT / "LICENSE.txt").read_text(encoding="utf-8").lstrip().startswith("Apache License")
    for module in ("Spine Implant Planner", "Metal Artifact Reduction"):
        assert module in readme
    for heading in ("Patents", "Tutorial", "Limits", "Citation"):
        assert re.search(rf"^#+ .*{heading}", readme, re.MULTILINE | re.IGNORECASE), heading
    # Screenshots of the modules, and they exist.
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert len(pictures) >= 3
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture
    assert "patent" in cmake["DESCRIPTION"].lower()


def git(*arguments: str, folder: Path = ROOT) -> str:
    asked = ["git", *arguments]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and folder == ROOT:
        pytest.skip("not a git checkout")
    assert not done.returncode, done.stderr
    return done.stdout


def test_what_is_published_stays_small() -> None:
    """A clone's .git and checkout together, as the index counts, of this tree without history."""
    objects = int(git("rev-list", "--disk-usage", "--objects", "HEAD^{tree}"))
    files = [int(line.split()[3]) for line in git("ls-tree", "-r", "-l", "HEAD").splitlines()]
    assert objects + sum(files) < LARGEST_CLONE_BYTES


def test_what_is_published_is_this_tree_with_a_fresh_history(tmp_path: Path) -> None:
    script = [str(ROOT / "scripts" / "release_tree.sh"), str(tmp_path / "published")]
    tree = git("rev-parse", "HEAD^{tree}")
    names = {f"GIT_{who}_{what}": "a@example.org"
             for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}  # fmt: skip
    done = subprocess.run(
        script, env=os.environ | names, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "published"
    assert git("rev-parse", "HEAD^{tree}", folder=folder) == tree
    assert git("rev-list", "--all", "--count", folder=folder).strip() == "1"
    assert git("status", "--porcelain", folder=folder) == ""
    bytes_ = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert bytes_ < LARGEST_CLONE_BYTES
    again = subprocess.run(script, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "there already" in again.stderr
