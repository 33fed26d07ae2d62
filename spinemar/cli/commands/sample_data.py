"""`spinemar sample-data`: fetch the sample CT and its labels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from spinemar.cli.console import print_json, stdout
from spinemar.cli.options import Json, Overwrite
from spinemar.cli.outputs import refuse_existing_in


def sample_data(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Copy both files into this folder (made if needed)."),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Fetch the sample CT (LIDC-IDRI-0001, CC BY 3.0) and its labels; once, then offline.

    Examples:

      spinemar sample-data

      spinemar sample-data -o data
    """
    from spinemar.base.atomic_files import atomic_path, made_folder
    from spinemar.demo import sample_data as source

    paths = {"ct": source.sample_ct(), "labels": source.sample_labels()}
    if output is not None:
        folder = made_folder(output)
        refuse_existing_in(folder, [path.name for path in paths.values()], overwrite=overwrite)
        for kind, path in paths.items():
            with atomic_path(folder / path.name) as temporary:
                shutil.copyfile(path, temporary)
            paths[kind] = folder / path.name
    if json:
        print_json({"status": "done", **paths, "source": source.SOURCE})
        return
    console = stdout()
    for path in paths.values():
        console.print(str(path), highlight=False, soft_wrap=True)
    console.print(source.SOURCE, style="dim", highlight=False, soft_wrap=True)
