#!/bin/sh
# What the software is made of: lock it, list it, ask whether anything in it is known to be broken.
#
#   scripts/supply.sh lock|sbom|audit
#
# The tools live in a virtual environment of their own, so that they are no part of what they list.
set -eu
cd "$(dirname "$0")/.."

task="${1:?which task: lock, sbom or audit}"
tools=build/supply
locked=requirements/locked.txt

tool() { # tool PACKAGE...
  [ -x "$tools/bin/python" ] || "${PYTHON:-python3}" -m venv "$tools"
  "$tools/bin/python" -m pip --disable-pip-version-check install -q -q "$@"
}

case "$task" in
  lock)
    tool uv
    head -n 5 "$locked" >build/locked.head
    # torch's builds differ from machine to machine: an override that never holds leaves it out.
    printf 'torch ; sys_platform == "never"\ntorchvision ; sys_platform == "never"\n' >build/overrides
    "$tools/bin/uv" pip compile pyproject.toml --extra mesh --extra dataset --extra physics-tables \
      --extra training --extra slicer-tests --extra docs --extra dev --universal \
      --python-version 3.11 --no-python-downloads --generate-hashes --no-emit-index-url \
      --no-header --no-annotate --overrides build/overrides --quiet --output-file build/locked.txt
    cat build/locked.head build/locked.txt >"$locked"
    echo "$locked: $(grep -c '==' "$locked") packages"
    ;;
  sbom)
    tool "cyclonedx-bom>=7"
    scripts/bootstrap.sh demo
    "$tools/bin/cyclonedx-py" environment .venv/bin/python --pyproject pyproject.toml \
      --output-reproducible --output-format JSON --output-file build/sbom.json
    echo "build/sbom.json: what .venv holds, as CycloneDX"
    ;;
  audit)
    tool "pip-audit>=2.7"
    mkdir -p build
    rm -f build/audit.json
    "$tools/bin/pip-audit" --disable-pip --no-deps --progress-spinner off --format json \
      --output build/audit.json -r "$locked" 2>build/audit.log || true
    "$tools/bin/python" scripts/audit_verdict.py build/audit.json build/audit.log
    ;;
  *)
    echo "supply: there is no task '$task'" >&2
    exit 2
    ;;
esac
