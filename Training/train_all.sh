#!/usr/bin/env bash
# Prior and joint training from the simulated stream (about ten
# minutes on one H100). The generator alone and the GAN: from a store, see Docs/training.md.
# Usage: Training/train_all.sh FOLDER   (patients prepared under .carry/, see Docs/training.md)
set -euo pipefail
runs=${1:?folder for the runs}
export PYTHONPATH="Training:.${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
train() { python3 -m spinemar_training.cli "$@"; }
train prior Training/configs/prior.yaml -o "$runs/prior"
train pretrain Training/configs/pretrain.yaml -o "$runs/pretrain" --start "$runs/prior/weights.pt"
touch "$runs/done"
