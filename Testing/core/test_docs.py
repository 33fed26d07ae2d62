"""The documentation builds without a warning, loads nothing from outside, names what exists."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "Docs").rglob("*.md")])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs", reason="needs MkDocs (pip install .[docs])")
    pytest.importorskip("mkdocstrings", reason="needs mkdocstrings (pip install .[docs])")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_builds_strictly_and_has_the_whole_api(site: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in site.glob("api/*.html"))
    for path in (ROOT / "spinemar").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1] != "cli" and not any(part.startswith("_") for part in parts):
            assert f'id="{".".join(parts)}"' in pages


@pytest.mark.slow
def test_pages_load_nothing_from_outside(site: Path) -> None:
    loaded = re.compile(r'<(?:script|img|iframe|source)[^>]+src="(?:https?:)?//[^"]+"')
    styles = re.compile(r'<link[^>]+rel="(?:stylesheet|preconnect|preload)"[^>]*>')
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not loaded.search(text), page.name
        for link in styles.findall(text):
            assert not re.search(r'href="(?:https?:)?//', link), (page.name, link)


@pytest.mark.slow
def test_equations_became_mathml(site: Path) -> None:
    text = (site / "theory.html").read_text(encoding="utf-8")
    assert text.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') >= 10
    assert "arithmatex" not in text
    assert "\\frac" not in text


def commands() -> list[tuple[str, list[str]]]:
    """Every `spinemar ...` line of every shell block, with the page that has it."""
    found = []
    for page in PAGES:
        blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        lines = "".join(blocks).replace("\\\n", " ").splitlines()
        found += [
            (page.relative_to(ROOT).as_posix(), shlex.split(line, comments=True))
            for line in lines
            if re.match(r"spinemar(-train|-study)? ", line)
        ]
    return found


@pytest.mark.parametrize(
    ("page", "words"), commands(), ids=[f"{p}: {' '.join(w)[:60]}" for p, w in commands()]
)
def test_command_and_options_exist(page: str, words: list[str]) -> None:
    import typer

    if words[0] == "spinemar":
        from spinemar.cli.main import build_app
    elif words[0] == "spinemar-study":
        from spinemar_study.commands import app

        def build_app():
            return app
    else:
        from spinemar_training.cli import app

        def build_app():
            return app

    command = typer.main.get_command(build_app())
    context = command.make_context(words[0], [], resilient_parsing=True)
    rest = words[1:]
    while hasattr(command, "commands"):
        assert rest[:1], f"{page}: {' '.join(words)} names no command"
        assert rest[0] in command.commands, f"{page}: no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    known |= set(context.help_option_names)
    for word in rest:
        if re.match(r"--?[a-z]", word):
            assert word.split("=")[0] in known, f"{page}: no option {word} of {' '.join(words)}"


def test_make_targets_in_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*[a-z])", text, re.MULTILINE))
        assert named <= targets, (page.name, named - targets)


def test_paths_in_the_pages_exist() -> None:
    """Files and folders of the repository that a page names in code style."""
    tops = "spinemar|Testing|Docs|Resources|scripts|Training|MetalArtifactReduction"
    path = re.compile(rf"(?<![\w/.])((?:{tops}|SpineImplantPlanner|\.github)/[\w./-]*\w)")
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")):
            for name in path.findall(code):
                assert (ROOT / name).exists(), f"{page.relative_to(ROOT)} names {name}"
