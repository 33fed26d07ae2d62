#!/bin/sh
# Everything that `make test` checks, cheapest first; ends with pytest's own closing lines.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
# Two numerical threads a test process at most, so that parallel tests do not crowd each other out.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
export QT_QPA_PLATFORM="${QT_QPA_PLATFORM:-offscreen}" MPLBACKEND=Agg

# A failure is remembered, not the end: one run shows everything that is wrong.
status=0
ruff check --output-format concise . || status=1
ruff format --check . || status=1
mypy || status=1
scripts/lint_imports.sh || status=1
run_tests() { # run_tests "OPTIONS" FOLDER...
  options="$1"
  shift
  folders=""
  for folder in "$@"; do
    [ ! -d "$folder" ] || folders="$folders $folder"
  done
  [ -n "$folders" ] || return 0
  echo "pytest $options$folders"
  # shellcheck disable=SC2086  # lists, to be split
  # Nothing collected (code 5) is a failure as well: the tests were there.
  pytest -q $options $folders || status=$?
}

# Neighbours share what is made once for a file; whoever is done early takes from the other's end.
run_tests "-n ${PYTEST_WORKERS:-2} --dist worksteal" Testing/core Testing/training
# MRML and Qt have one scene and one application a process, so a file stays in one.
run_tests "-n ${PYTEST_WORKERS:-2} --dist loadfile" Testing/slicer Testing/gui
exit "$status"
