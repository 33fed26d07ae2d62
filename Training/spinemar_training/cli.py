"""`spinemar-train`: every training run of the project from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spinemar.errors import InputError
from spinemar_training.boundary import run

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


Config = Annotated[Path, typer.Argument(help="The run's YAML file.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")]
Start = Annotated[Path | None, typer.Option(help="Weights to start from.")]


@app.command()
def patient(
    ct: Path,
    landmarks: Path,
    output: Output,
    clean_low_mm: Annotated[float | None, typer.Option(help="Lowest clean z, mm.")] = None,
    clean_high_mm: Annotated[float | None, typer.Option(help="Highest clean z, mm.")] = None,
) -> None:
    """Prepare a CT for the simulated stream."""
    from spinemar_training.simulate.patients import prepare_patient

    clean = None
    if clean_low_mm is not None and clean_high_mm is not None:
        clean = (clean_low_mm, clean_high_mm)
    prepare_patient(ct, landmarks, output, clean)


@app.command()
def prior(config: Config, output: Output, start: Start = None) -> None:
    """Train the prior network."""
    from spinemar_training.run_settings import load_settings
    from spinemar_training.runs.running import train_prior, validate

    settings = load_settings(config)
    weights = train_prior(settings, output, start)
    typer.echo(json.dumps(validate(settings, weights, output), indent=1))


@app.command()
def pretrain(
    config: Config,
    output: Output,
    start: Annotated[Path | None, typer.Option(help="Weights of the prior, or generator.")] = None,
) -> None:
    """Train the generator (stage one).

    With `prefilled` in the configuration it is trained alone, behind a frozen prior; else
    together with the prior of --start, through the reconstruction.
    """
    from spinemar_training.run_settings import load_settings
    from spinemar_training.runs.generator_runs import train_generator, validate_generator
    from spinemar_training.runs.running import train_joint, validate

    settings = load_settings(config)
    if settings.prefilled:
        weights = train_generator(settings, output, start)
        table = validate_generator(settings, weights, output)
    elif start is None:
        raise typer.BadParameter("Joint training starts from a prior: give --start.")
    else:
        table = validate(settings, train_joint(settings, output, start), output)
    typer.echo(json.dumps(table, indent=1))


@app.command()
def adversarial(
    config: Config,
    output: Output,
    start: Annotated[Path, typer.Option(help="Weights of the pre-trained generator.")],
    weight_l2: Annotated[float | None, typer.Option(help="Lambda of the loss.")] = None,
) -> None:
    """Train the conditional GAN from pre-trained weights (stage two)."""
    from spinemar_training.run_settings import load_settings
    from spinemar_training.runs.generator_runs import train_adversarial, validate_generator

    settings = load_settings(config)
    weights = train_adversarial(settings, output, start, weight_l2)
    typer.echo(json.dumps(validate_generator(settings, weights, output), indent=1))


@app.command()
def sweep(
    config: Config,
    output: Output,
    start: Annotated[Path, typer.Option(help="Weights of the pre-trained generator.")],
    cases: Annotated[
        Path | None, typer.Option(help="Foreign cases for contact and blind sheets.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Manifest whose prior fills the sheets' traces.")
    ] = None,
) -> None:
    """Train the GAN once for each lambda; write sweep.json, sweep.md, curves and sheets."""
    from spinemar_training.run_settings import load_settings
    from spinemar_training.runs.sweep import run_sweep

    sheets = (cases, model) if cases is not None and model is not None else None
    typer.echo(run_sweep(load_settings(config), output, start, sheets).read_text("utf-8"))


@app.command()
def prefill(
    source: Annotated[Path, typer.Argument(help="Store of pairs, or folder of fan-beam cases.")],
    output: Output,
    model: Annotated[Path, typer.Option(help="Manifest whose prior fills the traces.")],
    split: Annotated[str, typer.Option(help="Of a store.")] = "training",
    widening_mm: Annotated[
        float | None, typer.Option(help="Widen the lost-ray trace; by default as the model says.")
    ] = None,
) -> None:
    """Run a frozen prior once over every slice and keep what the generator trains on.

    Run again, it takes up what a growing store has got since.
    """
    from spinemar.dataset.storage.layout import SPEC
    from spinemar_training.data.prefill import FrozenPrior, prefill_cases, prefill_store

    prior = FrozenPrior(model, widening_mm)
    stored = (source / SPEC).is_file()
    made = prefill_store(source, prior, output, split) if stored else None
    for path in made or prefill_cases(source, prior, output):
        typer.echo(path.name)


@app.command(name="foreign-cases")
def foreign_cases(
    ct: Path,
    landmarks: Path,
    output: Output,
    per_group: Annotated[int, typer.Option(help="Cases for each metal and HU scale.")] = 3,
    seed: Annotated[int, typer.Option()] = 100,
) -> None:
    """Scan a patient with planned implants in fan beam."""
    from spinemar_training.data.out_of_domain import make_cases

    for path in make_cases(ct, landmarks, output, per_group=per_group, seed=seed):
        typer.echo(str(path))


@app.command()
def evaluate(
    cases: Annotated[Path, typer.Argument(help="Folder of fan-beam cases.")],
    output: Output,
    model: Annotated[Path, typer.Option(help="Manifest of the model.")],
    prior_only: Annotated[Path | None, typer.Option(help="The same without generator.")] = None,
    further: Annotated[list[Path] | None, typer.Option(help="More manifests to score.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Score every so many cases only.")] = 1,
) -> None:
    """Score input, LI, NMAR, prior only and generator; write tables.md, summary.json, gate.json."""
    from spinemar_training.scoring.evaluate import contestants, report, score_folder

    rows = score_folder(cases, contestants(model, prior_only, further or ()), every)
    report(rows, output)
    typer.echo((output / "tables.md").read_text("utf-8"))


@app.command(name="fit-gate")
def fit_gate_command(
    cases: Annotated[
        list[Path], typer.Argument(help="Folders of fan-beam cases, never tested on.")
    ],
    clean: Annotated[
        list[Path], typer.Option(help="CT without metal, for slices to be left alone.")
    ],
    model: Annotated[Path | None, typer.Option(help="Manifest of the model.")] = None,
    method: Annotated[str, typer.Option(help="Whose gate: generator, nmar or li.")] = "generator",
    per_kind: Annotated[int, typer.Option(min=1, help="Negatives of a kind and CT.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the negatives.")] = 7,
    keep: Annotated[bool, typer.Option("--keep", help="Show its own gate, fit none.")] = False,
) -> None:
    """Fit the do-no-harm gate of a method; prints its parameters and what it does."""
    from spinemar.mar.inpainters.methods import make_inpainter
    from spinemar_training.scoring.gate_evidence import draw_negatives, fit, known_slices, table

    worker = make_inpainter(method, model, "cpu")  # type: ignore[arg-type]
    negatives = draw_negatives(clean, per_kind, seed)
    known = list(known_slices(worker, cases, negatives))
    gate = worker.gate if keep else fit(known, worker.gate)
    typer.echo(json.dumps(gate.to_json()))
    typer.echo(table(known, gate))


@app.command()
def export(
    config: Config,
    output: Output,
    weights: Annotated[Path, typer.Option(help="Weights of prior and generator, or of one.")],
    facts: Annotated[Path, typer.Option(help="JSON with version, licence, data, metrics, gate.")],
    name: Annotated[str, typer.Option(help="The model's name.")] = "spinemar-lumbar",
    prior_of: Annotated[
        Path | None, typer.Option(help="Model folder whose prior a generator alone shares.")
    ] = None,
    variant: Annotated[str, typer.Option(help="Write manifest-VARIANT.json beside it.")] = "",
) -> None:
    """Write simplified ONNX files and their manifest, checked against PyTorch."""
    from spinemar_training.run_settings import load_settings
    from spinemar_training.shipping.export import export_model, read_facts

    path = export_model(
        load_settings(config),
        weights,
        output,
        read_facts(facts),
        name,
        prior_of=prior_of,
        variant=variant,
    )
    typer.echo(str(path))


@app.command(name="residual-share")
def residual_share(
    config: Config, weights: Annotated[Path, typer.Option(help="Weights of the generator.")]
) -> None:
    """Score shares of the generator's residual on the prefilled validation slices."""
    from spinemar_training.correction.refinement import score_shares
    from spinemar_training.data.prefilled import PrefilledCache
    from spinemar_training.run_settings import load_settings
    from spinemar_training.runs.generator_runs import make_refinement
    from spinemar_training.runs.running import build_generator

    settings = load_settings(config)
    cache = PrefilledCache(Path(settings.prefilled_validation))
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    generator = build_generator(settings, weights)
    table = score_shares(cache, generator, make_refinement("cpu"), shares)
    typer.echo(json.dumps(table, indent=1))


@app.command()
def weights(
    model: Annotated[Path, typer.Argument(help="Manifest of a model, or its folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File of weights (.pt).")],
    network: Annotated[
        list[str] | None,
        typer.Option(help="prior, generator, metal or fusion; repeatable. The first two unasked."),
    ] = None,
) -> None:
    """Take the weights back out of a model's ONNX files, to go on training from them."""
    from spinemar_training.shipping.import_weights import INPAINTERS, weights_of_model

    weights_of_model(model, output, network or INPAINTERS)


@app.command()
def average(
    start: Annotated[Path, typer.Argument(help="Weights that a run began from.")],
    tuned: Annotated[Path, typer.Argument(help="Weights that it came to.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File of weights (.pt).")],
    share: Annotated[float, typer.Option(help="Of the tuned weights.")] = 0.5,
) -> None:
    """Average two files of weights."""
    from spinemar_training.runs.averaging import average_weights

    average_weights(start, tuned, share, output)


@app.command(name="continue")
def continue_command(
    config: Config,
    output: Output,
    model: Annotated[Path, typer.Option(help="Manifest of a model, or its folder.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="Of training.")] = 9.0,
    share: Annotated[
        list[float] | None, typer.Option(help="Of the tuned weights; may be given again.")
    ] = None,
) -> None:
    """Go on from a model's weights for some minutes, average, and score each average.

    One command for a machine that is lent: what is to be carried home lies in OUTPUT/home.
    """
    from spinemar_training.run_settings import load_settings
    from spinemar_training.shipping.continued import SHARES, continue_model

    table = continue_model(load_settings(config), model, output, minutes, share or SHARES)
    typer.echo(json.dumps(table, indent=1))


@app.command()
def curves(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture (.svg).")],
    column: Annotated[list[str], typer.Option(help="What to draw; may be given again.")],
    window: Annotated[int, typer.Option(min=1, help="Values of a running mean.")] = 20,
    ordinate: Annotated[str, typer.Option(help="Name of the vertical axis.")] = "",
) -> None:
    """Draw what a run logged."""
    from spinemar_training.runs.curves import draw_run

    draw_run(run, column, window, ordinate, output)


@app.command(name="validate")
def validate_command(
    config: Config, output: Output, weights: Annotated[Path, typer.Option()]
) -> None:
    """Score weights on the validation stream."""
    from spinemar_training.run_settings import load_settings
    from spinemar_training.runs.running import validate

    typer.echo(json.dumps(validate(load_settings(config), weights, output), indent=1))


@app.command(hidden=True, context_settings={"ignore_unknown_options": True})
def study(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Say where the studies have gone."""
    raise InputError(
        "The studies have a command of their own now.",
        f"Run: spinemar-study {' '.join(words or [])}".rstrip() + ".",
    )


@app.command(name="prior-stacks")
def prior_stacks(
    cts: Annotated[list[Path], typer.Argument(help="CTs, or lists of CTs.")],
    output: Output,
    scans: Annotated[int, typer.Option(min=1, help="Scans in all; those there are kept.")] = 100,
    landmarks: Annotated[Path | None, typer.Option(help="Folder of landmark files.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="CTs of this split alone.")] = None,
    widening_mm: Annotated[float, typer.Option(min=0, help="Of the lost rays.")] = 2.4,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Scan whole constructs with and without metal, for a prior judged by corrected slices."""
    from spinemar.dataset.manifest import read_inputs
    from spinemar_training.reprojected.stacks import make_stacks

    make_stacks(read_inputs(cts, landmarks, only or ()), output, scans, widening_mm, seed)


@app.command(name="prior-corrected")
def prior_corrected(
    stacks: Annotated[Path, typer.Argument(help="Folder of stacks.")],
    output: Output,
    start: Annotated[Path, typer.Option(help="Weights of a prior that has learned from pictures.")],
    seconds: Annotated[float, typer.Option(min=1, help="Time to train.")] = 3600.0,
    steps: Annotated[int, typer.Option(min=1, help="At most so many.")] = 60000,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 2e-4,
    batch_size: Annotated[int, typer.Option(min=1, help="Slices of a step.")] = 2,
    processes: Annotated[int, typer.Option(min=1, help="Each takes a batch a step.")] = 1,
    validation: Annotated[Path | None, typer.Option(help="Stacks to score on.")] = None,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train the prior by the errors of corrected slices, and score it."""
    from spinemar_training.reprojected.runs import train_reprojected, write_scores

    weights = train_reprojected(
        stacks,
        output,
        start,
        seconds=seconds,
        steps=steps,
        learning_rate=learning_rate,
        batch_size=batch_size,
        processes=processes,
        seed=seed,
    )
    typer.echo(write_scores(weights, validation or stacks, output))


@app.command(name="add-prior")
def add_prior(
    weights: Annotated[Path, typer.Argument(help="Weights of the prior.")],
    model: Annotated[Path, typer.Option(help="Folder of the model that gets it.")],
) -> None:
    """Write the prior's ONNX file into a model's folder and name it in its manifests."""
    from spinemar_training.shipping.export import add_prior as add

    for path in add(weights, model):
        typer.echo(str(path))


@app.command(name="metal-cases")
def metal_cases(
    patients: Annotated[list[Path], typer.Argument(help="Prepared patients.")],
    output: Output,
    count: Annotated[int, typer.Option(min=1, help="Cases in all; those there are kept.")] = 300,
) -> None:
    """Simulate scans whose true metal is known, for the network that outlines it."""
    from spinemar_training.metal.cases import make_cases

    make_cases(patients, output, count)


@app.command(name="metal-scans")
def metal_scans(
    cts: Annotated[list[Path], typer.Argument(help="CTs, or lists of CTs.")],
    output: Output,
    scans: Annotated[int, typer.Option(min=1, help="Scans in all; those there are kept.")] = 100,
    landmarks: Annotated[Path | None, typer.Option(help="Folder of landmark files.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="CTs of this split alone.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Scan whole constructs by the core's scanner, for the network that outlines their metal."""
    from spinemar.dataset.manifest import read_inputs
    from spinemar_training.metal.scans import make_scan_cases

    make_scan_cases(read_inputs(cts, landmarks, only or ()), output, scans, seed)


@app.command()
def metal(
    cases: Annotated[Path, typer.Argument(help="Folder of metal cases.")],
    output: Output,
    start: Start = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time to train.")] = 900.0,
    steps: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20000,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 6e-4,
    batch_size: Annotated[int, typer.Option(min=1, help="Crops of a step.")] = 8,
    ema_decay: Annotated[float, typer.Option(help="Of the averaged weights.")] = 0.995,
    validation: Annotated[Path | None, typer.Option(help="Cases to score on.")] = None,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train the network that outlines metal, and score it."""
    from spinemar_training.metal.runs import train_metal, write_scores

    weights = train_metal(
        cases,
        output,
        start=start,
        seconds=seconds,
        steps=steps,
        learning_rate=learning_rate,
        batch_size=batch_size,
        ema_decay=ema_decay,
        seed=seed,
    )
    typer.echo(write_scores(weights, validation or cases, output))


@app.command(name="add-metal")
def add_metal(
    weights: Annotated[Path, typer.Argument(help="Weights of the metal network.")],
    model: Annotated[Path, typer.Option(help="Folder of the model that gets it.")],
) -> None:
    """Write the metal network's ONNX file into a model's folder and name it in its manifests."""
    from spinemar_training.shipping.export import add_metal as add

    for path in add(weights, model):
        typer.echo(str(path))


@app.command()
def fusion(
    lessons: Annotated[Path, typer.Argument(help="Folder of lessons.")],
    output: Output,
    start: Start = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time to train.")] = 1200.0,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 6e-4,
    held_out: Annotated[str, typer.Option(help="Part of the names to score on, not learn.")] = "",
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train the network that takes the patient's earlier CT in."""
    from spinemar_training.runs.fusion_runs import picture_errors, train_fusion

    files = sorted(lessons.glob("*.npz"))
    kept = [path for path in files if held_out and held_out in path.name]
    learned = [path for path in files if path not in kept]
    weights = train_fusion(
        learned, output, start=start, seconds=seconds, learning_rate=learning_rate, seed=seed
    )
    typer.echo(json.dumps(picture_errors(weights, kept or learned)))


@app.command(name="add-fusion")
def add_fusion(
    weights: Annotated[Path, typer.Argument(help="Weights of the fusion network.")],
    model: Annotated[Path, typer.Option(help="Folder of the model that gets it.")],
) -> None:
    """Write the fusion network's ONNX file into a model's folder and name it in its manifests."""
    from spinemar_training.shipping.export import add_fusion as add

    for path in add(weights, model):
        typer.echo(str(path))


def main() -> None:
    """Entry point: errors become a sentence and an exit code."""
    run(app)


if __name__ == "__main__":
    main()
