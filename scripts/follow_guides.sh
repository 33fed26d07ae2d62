#!/bin/sh
# Follow the ten-minute guides in the test host as somebody with a new Slicer would: Python 3.12 with
# Slicer's packages and nothing else, an empty home, packages and sample data fetched on the way.
#
#   scripts/follow_guides.sh [OPTION OF python -m Testing.guides...]
#
# Another Python may be named by PYTHON.
set -eu
cd "$(dirname "$0")/.."

python="${PYTHON:-python3.12}"
command -v "$python" >/dev/null || {
  echo "follow_guides: $python is not there; install it, or name another: PYTHON=python3.11" >&2
  exit 2
}
fresh="$PWD/build/fresh-slicer"
rm -rf "$fresh"
mkdir -p "$fresh/home"
"$python" -m venv "$fresh/venv"
pip="$fresh/venv/bin/python -m pip --disable-pip-version-check install -q -q"
host="$(sed -n 's/^slicer-tests = \[\(.*\)\]$/\1/p' pyproject.toml | tr -d '",')"
# shellcheck disable=SC2086  # lists, to be split
$pip -r requirements/slicer-5.12.txt $host
export HOME="$fresh/home" XDG_CACHE_HOME="$fresh/home/.cache" PYTHONPATH="$PWD"
export QT_QPA_PLATFORM="${QT_QPA_PLATFORM:-offscreen}"
unset SPINEMAR_CACHE SPINEMAR_MODELS 2>/dev/null || true
exec "$fresh/venv/bin/python" -m Testing.guides "$@"
