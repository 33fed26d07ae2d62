#!/bin/sh
# Make .venv and install what one task needs; quick when nothing has changed.
#
#   scripts/bootstrap.sh demo|pictures|test|bench|fuzz|mutate|lint|docs
#
# PYTHON names the interpreter (3.10 to 3.13; 3.11 at least where training pairs are stored, since
# Zarr 3 asks for it), else the first fitting one is taken.
# Only the package registries that pip and apt are configured for are reached.
set -eu
cd "$(dirname "$0")/.."

task="${1:?which task: demo, pictures, test, bench, fuzz, mutate, lint or docs}"
venv=.venv
stamp="$venv/.installed-$task"

# What each task installs: extras of pyproject.toml, then system packages.
torch=""
system=""
oldest=10
case "$task" in
  demo) extras="" ;;
  pictures)
    extras="figures,mesh,slicer-tests"
    system="libegl1 libegl-mesa0 libgl1-mesa-dri libgl1 libxrender1 libxkbcommon0 libdbus-1-3"
    system="$system libfontconfig1 libglib2.0-0 fonts-dejavu-core"
    ;;
  lint) extras="dev" ;;
  docs) extras="docs" ;;
  bench)
    extras="mesh,dataset,bench,slicer-tests,dev"
    # The planner's panel is drawn offscreen.
    system="libegl1 libegl-mesa0 libgl1-mesa-dri libgl1 libxrender1 libxkbcommon0 libdbus-1-3"
    system="$system libfontconfig1 libglib2.0-0"
    ;;
  fuzz) extras="mesh,dataset,bench,dev" ;;
  mutate) extras="mesh,dataset,bench,mutation,dev" ;;
  test)
    extras="mesh,dataset,physics-tables,training,slicer-tests,docs,dev"
    # The tests' networks are small: the exact version matters, the build does not.
    torch="torch==2.13.0"
    # Offscreen rendering, Qt, a display for tests that want one, CMake, a DICOM validator, and a
    # tracer of system calls.
    system="libegl1 libegl-mesa0 libgl1-mesa-dri libgl1 libxrender1 libxkbcommon0 libdbus-1-3"
    system="$system libfontconfig1 libglib2.0-0 fonts-dejavu-core xvfb xauth cmake ninja-build"
    system="$system dicom3tools strace"
    # Qt on that display.
    system="$system libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0"
    system="$system libxcb-shape0 libxkbcommon-x11-0"
    ;;
  *)
    echo "bootstrap: there is no task '$task'" >&2
    exit 2
    ;;
esac
case "$extras" in *dataset*) oldest=11 ;; esac

say() { printf '\033[1m[%s]\033[0m %s\n' "$task" "$*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    return 1
  fi
}

install_system() {
  missing=""
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' \
      || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null 2>&1 || {
    say "not a Debian or Ubuntu machine; please install the likes of:$missing"
    return 0
  }
  say "installing system packages:$missing"
  if ! as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    "apt-get update -q && apt-get install -q -y --no-install-recommends $missing" \
    >"$venv.apt.log" 2>&1; then
    tail -n 5 "$venv.apt.log" >&2
    say "could not install them (no right to, or no package server). Tests that need them will be"
    say "skipped or fail. To install them yourself:  sudo apt-get install$missing"
  fi
  rm -f "$venv.apt.log"
}

fits() {
  "$1" -c 'import sys; sys.exit(not (3, '"$oldest"') <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.10 python3 python; do
    if fits "$candidate"; then
      echo "$candidate"
      return 0
    fi
  done
  echo "bootstrap: no Python 3.$oldest to 3.13 found; install python3.11 or set PYTHON" >&2
  return 1
}

make_venv() {
  [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return 0
  python="$(find_python)"
  say "making $venv with $("$python" --version)"
  rm -rf "$venv"
  "$python" -m venv "$venv" >/dev/null 2>&1 && return 0
  # Debian ships Python without venv; pip can bring virtualenv instead.
  rm -rf "$venv"
  version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    "apt-get update -q && apt-get install -q -y python$version-venv" >/dev/null 2>&1 \
    && "$python" -m venv "$venv" && return 0
  rm -rf "$venv" build/virtualenv
  "$python" -m pip install -q -q --target build/virtualenv virtualenv \
    && PYTHONPATH=build/virtualenv "$python" -m virtualenv -q "$venv" && return 0
  echo "bootstrap: no virtual environment can be made; run  sudo apt-get install python$version-venv" >&2
  return 1
}

fingerprint() { cksum pyproject.toml scripts/bootstrap.sh | tr '\n' ' '; }

if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then
  exit 0
fi

make_venv
# shellcheck disable=SC2086  # a list of packages, to be split
[ -z "$system" ] || install_system $system
pip="$venv/bin/python -m pip --disable-pip-version-check install -q -q"
say "installing Python packages${extras:+ ($extras)}"
if [ -n "$torch" ]; then
  $pip "$torch"
fi
$pip -e ".${extras:+[$extras]}"
# Coverage-guided search; there are no wheels of it for every system, and it can be done without.
[ "$task" != fuzz ] || $pip --only-binary :all: "atheris>=2.3" >/dev/null 2>&1 \
  || say "atheris is not to be had here: readers in Python are searched blindly as well"
fingerprint >"$stamp"
