#!/bin/sh
# Reading, correcting and DICOM out on the packages that one Slicer brings.
#
#   scripts/test_stack.sh 5.10|5.12 [PYTEST-OPTION...]
#
# Slicer has Python 3.12; another may be named by PYTHON, where it is not to be had.
set -eu
cd "$(dirname "$0")/.."

stack="${1:?which stack: 5.10 or 5.12}"
shift
held="requirements/slicer-$stack.txt"
[ -f "$held" ] || { echo "test_stack: there is no $held" >&2; exit 2; }
venv="build/stack-$stack"
python="${PYTHON:-python3.12}"
command -v "$python" >/dev/null || {
  echo "test_stack: $python is not there; install it, or name another: PYTHON=python3.11" >&2
  exit 2
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip --disable-pip-version-check install -q -q"
$pip -r "$held"
# As in Slicer: what the modules ask for, around what is there already.
$pip -c "$held" -e . -r MetalArtifactReduction/Resources/MetalArtifactReduction/requirements.txt
$pip -c "$held" pytest hypothesis nibabel pynrrd onnx psutil
"$venv/bin/python" -m pip --disable-pip-version-check check
"$venv/bin/python" --version
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
exec "$venv/bin/python" -m pytest -q "$@" Testing/core/io Testing/core/mar/test_correct.py \
  Testing/core/mar/test_shipped_model.py
