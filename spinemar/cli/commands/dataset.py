"""`spinemar dataset`: make, lengthen, merge, look at, split, verify and export training pairs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spinemar.cli.console import print_json, progress_bars, stdout
from spinemar.cli.options import Json, Overwrite
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.errors import FaultError, InputError

if TYPE_CHECKING:
    from spinemar.dataset.make import Made

app = typer.Typer(
    no_args_is_help=True,
    help="Make, lengthen, merge, look at, split, verify and export stores of training pairs.",
)


Store = Annotated[Path, typer.Argument(metavar="STORE", help="A store of training pairs.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="tcp://HOST:PORT", help="A running Dask scheduler.")
]
LandmarkFolder = Annotated[
    Path | None, typer.Option(help="Folder of landmark files, found by the CTs' names.")
]
Only = Annotated[
    list[str] | None, typer.Option(help="Take the CTs of this split alone (repeatable).")
]


@app.command()
def make(
    sources: Annotated[
        list[Path], typer.Argument(metavar="CTS|MANIFEST...", help="CTs, or lists of CTs.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="STORE", help="The store.")],
    pairs: Annotated[int, typer.Option(help="Pairs that the store shall hold.")],
    placement: Annotated[
        str, typer.Option(metavar="realistic|random|mix:R", help="Where the metal goes.")
    ] = "mix:0.7",
    domain: Annotated[
        str, typer.Option(metavar="post|raw|mix:R", help="Images projected again, or raw data.")
    ] = "mix:0.3",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    landmarks: LandmarkFolder = None,
    only: Only = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="JSON", help="File with other settings.")
    ] = None,
    block: Annotated[int, typer.Option(min=1, help="Pairs of a shard.")] = 8,
    fields: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Keep these arrays alone.")
    ] = None,
    earlier_ct: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Lay the patient's CT from before beside this share of pairs."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make training pairs; run again, it goes on where it stopped, or adds pairs.

    A list of CTs is JSON or CSV; see Docs/dataset.md.

    Examples:

      spinemar dataset make cts.json -o pairs.zarr --pairs 200

      spinemar dataset make a.nii.gz b.nii.gz -o pairs.zarr --pairs 5000 --workers 8

      spinemar dataset make cts.json -o pairs.zarr --pairs 200 --fields input,truth,metal_fraction

      spinemar dataset make cts.json -o pairs.zarr --pairs 200 --earlier-ct 0.45

      spinemar dataset make cts.csv -o pairs.zarr --pairs 1000000 --scheduler tcp://head:8786
    """
    from spinemar.dataset.make import make_store
    from spinemar.dataset.manifest import read_inputs
    from spinemar.dataset.pairs.domains import EARLIER, FIELDS

    inputs = read_inputs(sources, landmarks, only or ())
    chosen = _settings(settings, placement, domain)
    kept = list(FIELDS) if fields is None else [name.strip() for name in fields.split(",")]
    if earlier_ct is not None:
        chosen = replace(chosen, earlier_ct_share=earlier_ct)
        kept += EARLIER
    start = time.perf_counter()
    with progress_bars(quiet=json) as (progress, cancel):
        made = make_store(
            output,
            inputs,
            pairs,
            settings=chosen,
            seed=seed,
            workers=workers,
            scheduler=scheduler,
            block_pairs=block,
            fields=kept,
            progress=progress,
            cancel=cancel,
        )
    _tell_made(output, made, time.perf_counter() - start, json=json)


@app.command()
def add(
    store: Store,
    sources: Annotated[
        list[Path], typer.Argument(metavar="CTS|MANIFEST...", help="Further CTs, or lists of CTs.")
    ],
    pairs: Annotated[int, typer.Option(help="Pairs that the store shall hold in all.")],
    workers: Workers = 1,
    scheduler: Scheduler = None,
    landmarks: LandmarkFolder = None,
    only: Only = None,
    json: Json = False,
) -> None:
    """Lengthen a store by pairs of further CTs; the CTs that it was made of are not needed.

    What is there stays; run again, it goes on where it stopped. Seed and settings are the store's.

    Examples:

      spinemar dataset add pairs.zarr d.nii.gz e.nii.gz --pairs 300
    """
    from spinemar.dataset.exchange.further import add_to_store
    from spinemar.dataset.manifest import read_inputs

    inputs = read_inputs(sources, landmarks, only or ())
    start = time.perf_counter()
    with progress_bars(quiet=json) as (progress, cancel):
        made = add_to_store(
            store,
            inputs,
            pairs,
            workers=workers,
            scheduler=scheduler,
            progress=progress,
            cancel=cancel,
        )
    _tell_made(store, made, time.perf_counter() - start, json=json)


@app.command()
def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Two stores or more.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="STORE", help="The new store.")],
    json: Json = False,
) -> None:
    """Put stores together into a new one; splits stay, and what does not go together is refused.

    Examples:

      spinemar dataset merge a.zarr b.zarr -o both.zarr
    """
    from spinemar.dataset.exchange.merge import merge_stores

    with progress_bars(quiet=json) as (progress, cancel):
        pairs = merge_stores(stores, output, progress=progress, cancel=cancel)
    if json:
        print_json({"status": "done", "store": str(output), "pairs": pairs})
        return
    stdout().print(f"{output} holds {pairs} pairs of {len(stores)} stores.", highlight=False)


@app.command()
def inspect(
    store: Store,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for contact sheets.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Pairs on the sheets.")] = 24,
    overwrite: Annotated[bool, typer.Option(help="Replace sheets that exist.")] = False,
    json: Json = False,
) -> None:
    """Draw contact sheets of pairs spread over a store, and say what it holds.

    Examples:

      spinemar dataset inspect pairs.zarr -o sheets --count 60
    """
    from spinemar.dataset.storage.reader import PairStore
    from spinemar.dataset.storage.sheets import draw_sheets

    refuse_existing_in(output, ["sheet-*.png"], overwrite=overwrite)
    pairs = PairStore(store)
    sheets = draw_sheets(store, output, count) if output is not None else []
    facts: dict[str, Any] = {"status": "done", "store": str(store), "pairs": len(pairs)}
    for name in ("domain", "placement", "ct"):
        values = [row[name] for row in pairs.rows]
        facts[name] = {value: values.count(value) for value in sorted(set(values))}
    facts["sheets"] = [str(path) for path in sheets]
    if json:
        print_json(facts)
        return
    console = stdout()
    console.print(f"{len(pairs)} pairs.")
    for name in ("domain", "placement", "ct"):
        shares = ", ".join(f"{value} {number}" for value, number in facts[name].items())
        console.print(f"{name}: {shares}", highlight=False)
    for path in sheets:
        console.print(str(path), highlight=False, soft_wrap=True)


@app.command()
def split(
    store: Store,
    shares: Annotated[
        str, typer.Option(metavar="A,B,C", help="Shares of training, validation and test.")
    ] = "0.8,0.1,0.1",
    seed: Annotated[int, typer.Option(min=0, help="Draws the patients.")] = 0,
    json: Json = False,
) -> None:
    """Divide the patients into sets; splits stated in the list of CTs stay.

    Examples:

      spinemar dataset split pairs.zarr --shares 0.7,0.15,0.15 --seed 3
    """
    from spinemar.base.file_locks import output_lock
    from spinemar.dataset.storage.finish import finish_store
    from spinemar.dataset.storage.layout import read_spec
    from spinemar.dataset.storage.split import assign_patients, read_splits

    try:
        wanted = [float(part) for part in shares.split(",")]
    except ValueError as error:
        raise InputError(f"'{shares}' are no shares.", "Write them as 0.8,0.1,0.1.") from error
    patients = assign_patients(read_spec(store).inputs, wanted, seed)
    with output_lock(store):
        finish_store(store, patients)
    pairs = read_splits(store)[1]
    counts = {name: len(numbers) for name, numbers in pairs.items()}
    if json:
        print_json({"status": "done", "patients": patients, "pairs": counts})
        return
    console = stdout()
    for name, number in counts.items():
        people = [patient for patient, one in patients.items() if one == name]
        console.print(f"{name}: {number} pairs of {len(people)} patients", highlight=False)


@app.command()
def verify(
    store: Store,
    deep: Annotated[bool, typer.Option(help="Also read every pair and check it.")] = False,
    discard: Annotated[
        bool, typer.Option(help="Give up damaged blocks, for the next `make` to make anew.")
    ] = False,
    json: Json = False,
) -> None:
    """Check every byte of a store; ends with 1 if something is wrong.

    Examples:

      spinemar dataset verify pairs.zarr --deep
    """
    from spinemar.base.file_locks import output_lock
    from spinemar.dataset.storage.verify import discard_damaged, verify_store

    with progress_bars(quiet=json) as (progress, cancel):
        found = verify_store(store, deep=deep, progress=progress, cancel=cancel)
    given_up = 0
    if discard:
        with output_lock(store):
            given_up = discard_damaged(store, found)
    if json and not found.problems:
        print_json(
            {
                "status": "done",
                "pairs": found.pairs,
                "files": found.files,
                "bytes": found.stored_bytes,
            }
        )
    elif not found.problems:
        stdout().print(
            f"All is well: {found.pairs} pairs in {found.files} files, "
            f"{found.stored_bytes / 1e6:.1f} MB of shards."
        )
    if found.problems:
        named = " ".join(problem.what for problem in found.problems[:10])
        raise FaultError(
            f"{store.name} is damaged ({len(found.problems)} problems). {named}",
            f"{given_up} damaged blocks were given up: run `spinemar dataset make` again."
            if given_up
            else "Run this with --discard, then `spinemar dataset make` with the same options.",
        )


@app.command()
def export(
    store: Store,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    layout: Annotated[
        Literal["syndeeplesion", "adn", "nifti", "npz"],
        typer.Option(
            "--format",
            help="syndeeplesion (HDF5 as InDuDoNet and DICDNet read it), adn (MATLAB files as ADN "
            "reads them), nifti, or npz.",
        ),
    ],
    split: Annotated[
        str | None, typer.Option("--split", help="Only this split: training, validation or test.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Only these pairs: post or raw.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write the pairs of a store for code that is not ours; a folder for each split.

    Examples:

      spinemar dataset export pairs.zarr -o deeplesion --format syndeeplesion

      spinemar dataset export pairs.zarr -o volumes --format nifti --split validation
    """
    from spinemar.dataset.exchange.export import export_store

    refuse_existing([output], overwrite=overwrite)
    with progress_bars(quiet=json) as (progress, cancel):
        done = export_store(
            store,
            output,
            layout,
            split=split,
            domain=domain,
            progress=progress,
            cancel=cancel,
        )
    if json:
        facts = {"status": "done", "output": str(output), "pairs": done.pairs, "files": done.files}
        print_json(facts)
        return
    counted = ", ".join(f"{name} {number}" for name, number in done.pairs.items())
    stdout().print(f"{output}: {counted} pairs in {done.files} files.", highlight=False)


def _tell_made(store: Path, made: Made, seconds: float, *, json: bool) -> None:
    """Say what a run added to a store, and how fast."""
    fresh = sum(one.pairs for one in made.done)
    stored = sum(one.stored_bytes for one in made.done)
    peak = max((one.peak_bytes for one in made.done), default=0)
    facts = {
        "status": "done",
        "store": str(store),
        "pairs": made.pairs,
        "made_now": fresh,
        "seconds": round(seconds, 1),
        "pairs_per_minute": round(60 * fresh / seconds, 2),
        "bytes_per_pair": round(stored / fresh) if fresh else None,
        "peak_bytes_per_worker": peak,
        "workers": sorted({one.worker for one in made.done}),
    }
    if json:
        print_json(facts)
        return
    console = stdout()
    console.print(f"{store} holds {made.pairs} pairs, {fresh} of them made now.", highlight=False)
    if fresh:
        console.print(
            f"{facts['pairs_per_minute']} pairs a minute, {stored / fresh / 1e6:.1f} MB a pair, "
            f"at most {peak / 1e6:.0f} MB of memory a worker."
        )


def _settings(path: Path | None, placement: str, domain: str) -> Any:
    """Read settings; placement and domain of the command line go before the file's."""
    from spinemar.base.json_text import read_json
    from spinemar.dataset.pair_settings import PairSettings, parse_domain, parse_placement

    values: dict[str, Any] = {}
    if path is not None:
        values = read_json(path, f"settings {path.name}")
        if not isinstance(values, dict):
            raise InputError(f"{path.name} is no JSON object.", "Write settings by name.")
    values["realistic_share"] = parse_placement(placement)
    values["raw_share"] = parse_domain(domain)
    return PairSettings.from_json(values)
