#!/usr/bin/env bash
# Every training run of the shipped models, one after another (about 25 minutes on one H100).
# Usage: Training/train_all.sh FOLDER   (patients prepared under .carry/, see Docs/training.md)
set -euo pipefail
runs=${1:?folder for the runs}
export PYTHONPATH="Training:.${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
train() { python3 -m spinemar_training.cli "$@"; }
train prior Training/configs/prior.yaml -o "$runs/prior"
train pretrain Training/configs/pretrain.yaml -o "$runs/pretrain" --start "$runs/prior/weights.pt"
train sweep Training/configs/adversarial.yaml -o "$runs/sweep" --start "$runs/pretrain/weights.pt"
touch "$runs/done"
