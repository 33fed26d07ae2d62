#!/bin/sh
# Do all arrows point one way? The contracts are in pyproject.toml.
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$PWD/Training:$PWD/SpineImplantPlanner:$PWD/MetalArtifactReduction"
exec lint-imports --no-cache "$@"
