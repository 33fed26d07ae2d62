#!/usr/bin/env python-real
"""The scripted command-line module: one correction, with Slicer's progress lines on stdout."""

import argparse
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# In the source tree the core lies one folder up; installed, it lies with the scripted modules,
# beside the folder of command-line modules.
for _folder in (_HERE.parent, *_HERE.parent.glob("qt-scripted-modules"), _HERE):
    if (_folder / "spinemar" / "__init__.py").is_file() and str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))


def main(arguments=None):
    """Correct one volume and return the exit status."""
    from spinemar.errors import SpinemarError
    from spinemar.jobs.requests.correct import run
    from spinemar.mar.settings import DEVICES, METHODS
    from spinemar.progress import CancelToken

    parser = argparse.ArgumentParser(prog="MetalArtifactReductionCLI")
    parser.add_argument("inputVolume")
    parser.add_argument("outputVolume")
    parser.add_argument("--metal-mask")
    parser.add_argument("--method", default=METHODS[0], choices=METHODS)
    parser.add_argument("--metal-threshold", type=float, default=0.0)
    parser.add_argument("--device", default=DEVICES[0], choices=DEVICES)
    parser.add_argument("--model")
    options = parser.parse_args(arguments)
    job = {
        "input": options.inputVolume,
        "output": options.outputVolume,
        "metal_mask": options.metal_mask or None,
        "settings": {
            "method": options.method,
            "metal_threshold_hu": options.metal_threshold or None,
            "device": options.device,
            "model": options.model or None,
        },
    }
    print("<filter-start><filter-name>Metal artifact reduction</filter-name></filter-start>")
    try:
        facts = run(job, _tell, CancelToken())
    except SpinemarError as error:
        print(f"{error.problem}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    print("<filter-end><filter-name>Metal artifact reduction</filter-name></filter-end>")
    print(facts["message"])
    return 0


def _tell(progress):
    """Print progress as Slicer reads it."""
    print(f"<filter-comment>{progress.stage}</filter-comment>")
    print(f"<filter-progress>{progress.fraction:.3f}</filter-progress>", flush=True)


if __name__ == "__main__":
    sys.exit(main())
