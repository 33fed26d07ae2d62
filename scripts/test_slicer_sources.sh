#!/bin/sh
# Host, module, panel and CMake tests with Slicer's own Python files and macros.
#
#   SLICER_SOURCE=DIR [CTK_SOURCE=DIR] scripts/test_slicer_sources.sh [PYTEST-OPTION...]
#
# DIR is a checkout of Slicer's sources; CTK's is $SLICER_SOURCE/CTK unless named. Nothing of either
# is built, copied or committed.
set -eu
cd "$(dirname "$0")/.."

explain() {
  cat >&2 <<'TEXT'
Tell where Slicer's sources are:  make test-slicer-sources SLICER_SOURCE=DIR
To get those of a version (build/ is ignored by git):

  git clone --depth 1 --branch v5.12.3 https://github.com/Slicer/Slicer build/slicer-5.12.3
  git clone --filter=blob:none https://github.com/commontk/CTK build/slicer-5.12.3/CTK
  git -C build/slicer-5.12.3/CTK checkout \
    "$(sed -n '/_GIT_TAG$/{n;s/[" ]//gp}' build/slicer-5.12.3/SuperBuild/External_CTK.cmake)"
TEXT
  exit 2
}

[ -n "${SLICER_SOURCE:-}" ] || explain
[ -f "$SLICER_SOURCE/Base/Python/slicer/ScriptedLoadableModule.py" ] || explain
SLICER_SOURCE="$(cd "$SLICER_SOURCE" && pwd)"
CTK_SOURCE="$(cd "${CTK_SOURCE:-$SLICER_SOURCE/CTK}" 2>/dev/null && pwd)" || explain
[ -f "$CTK_SOURCE/CMake/ctkMacroCompilePythonScript.cmake" ] || explain
export SLICER_SOURCE CTK_SOURCE QT_QPA_PLATFORM="${QT_QPA_PLATFORM:-offscreen}" MPLBACKEND=Agg
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
# A virtual environment that is active is used as it is.
if [ -z "${VIRTUAL_ENV:-}" ]; then
  scripts/bootstrap.sh test
  PATH="$PWD/.venv/bin:$PATH"
fi
exec pytest -q "$@" Testing/slicer Testing/gui
