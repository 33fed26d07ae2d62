"""`spinemar-train`: every training run of the project from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spinemar_training.study.commands import app as study_app

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
app.add_typer(study_app, name="study")

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
    from spinemar_training.patients import prepare_patient

    clean = None
    if clean_low_mm is not None and clean_high_mm is not None:
        clean = (clean_low_mm, clean_high_mm)
    prepare_patient(ct, landmarks, output, clean)


@app.command()
def prior(config: Config, output: Output, start: Start = None) -> None:
    """Train the prior network."""
    from spinemar_training.running import train_prior, validate
    from spinemar_training.settings import load_settings

    settings = load_settings(config)
    weights = train_prior(settings, output, start)
    typer.echo(json.dumps(validate(settings, weights, output), indent=1))


@app.command()
def pretrain(
    config: Config,
    output: Output,
    start: Annotated[Path, typer.Option(help="Weights of the prior.")],
) -> None:
    """Train prior and generator through the reconstruction (stage one)."""
    from spinemar_training.running import train_joint, validate
    from spinemar_training.settings import load_settings

    settings = load_settings(config)
    weights = train_joint(settings, output, start)
    typer.echo(json.dumps(validate(settings, weights, output), indent=1))


@app.command()
def adversarial(
    config: Config,
    output: Output,
    start: Annotated[Path, typer.Option(help="Weights of prior and generator.")],
    weight_l2: Annotated[float | None, typer.Option(help="Lambda of the loss.")] = None,
) -> None:
    """Train the conditional GAN from pre-trained weights (stage two)."""
    from spinemar_training.running import train_adversarial, validate
    from spinemar_training.settings import load_settings

    settings = load_settings(config)
    weights = train_adversarial(settings, output, start, weight_l2)
    typer.echo(json.dumps(validate(settings, weights, output), indent=1))


@app.command()
def sweep(
    config: Config,
    output: Output,
    start: Annotated[Path, typer.Option(help="Weights of prior and generator.")],
) -> None:
    """Train the GAN once for each lambda of the configuration."""
    from spinemar_training.running import train_adversarial, validate
    from spinemar_training.settings import load_settings

    settings = load_settings(config)
    for value in settings.options["lambdas"]:
        folder = output / f"lambda-{value:g}"
        weights = train_adversarial(settings, folder, start, float(value))
        table = validate(settings, weights, folder)
        typer.echo(f"lambda {value:g}: {json.dumps(table['all']['generator'])}")


@app.command()
def prefill(
    source: Annotated[Path, typer.Argument(help="Store of pairs, or folder of foreign cases.")],
    output: Output,
    model: Annotated[Path, typer.Option(help="Manifest whose prior fills the traces.")],
    split: Annotated[str, typer.Option(help="Of a store.")] = "training",
) -> None:
    """Run a frozen prior once over every slice and keep what the generator trains on.

    Run again, it takes up what a growing store has got since.
    """
    from spinemar.dataset.layout import SPEC
    from spinemar_training.prefill import prefill_cases, prefill_store

    stored = (source / SPEC).is_file()
    made = prefill_store(source, model, output, split) if stored else None
    for path in made or prefill_cases(source, model, output):
        typer.echo(path.name)


@app.command(name="foreign-cases")
def foreign_cases(
    ct: Path,
    landmarks: Path,
    output: Output,
    per_group: Annotated[int, typer.Option(help="Cases for each metal and HU scale.")] = 3,
    seed: Annotated[int, typer.Option()] = 100,
) -> None:
    """Scan a patient with planned implants on the foreign scanner (fan beam)."""
    from spinemar_training.foreign import make_cases

    for path in make_cases(ct, landmarks, output, per_group=per_group, seed=seed):
        typer.echo(str(path))


@app.command()
def evaluate(
    cases: Annotated[Path, typer.Argument(help="Folder of foreign cases.")],
    output: Output,
    model: Annotated[Path, typer.Option(help="Manifest of the model.")],
    prior_only: Annotated[Path | None, typer.Option(help="The same without generator.")] = None,
    further: Annotated[list[Path] | None, typer.Option(help="More manifests to score.")] = None,
) -> None:
    """Score input, LI, NMAR, prior only and generator; write tables.md and summary.json."""
    from spinemar_training.evaluate import contestants, report, score_folder

    rows = score_folder(cases, contestants(model, prior_only, further or ()))
    report(rows, output)
    typer.echo((output / "tables.md").read_text("utf-8"))


@app.command(name="fit-gate")
def fit_gate_command(
    cases: Annotated[Path, typer.Argument(help="Folder of foreign cases, validation patient.")],
    model: Annotated[Path, typer.Option(help="Manifest of the model.")],
) -> None:
    """Fit the do-no-harm gate of a model; prints the manifest's `gate`."""
    from spinemar_training.evaluate import fit_gate_for

    typer.echo(json.dumps(fit_gate_for(cases, model).to_json()))


@app.command(name="placement-study")
def placement_study(config: Config, output: Output) -> None:
    """Train the arms of the placement study (realistic, random, mixed)."""
    from spinemar_training.placement_study import train_arms
    from spinemar_training.settings import load_settings

    train_arms(load_settings(config), output)


@app.command()
def export(
    config: Config,
    output: Output,
    weights: Annotated[Path, typer.Option(help="Weights of prior and generator.")],
    facts: Annotated[Path, typer.Option(help="JSON with version, licence, data, metrics, gate.")],
    name: Annotated[str, typer.Option(help="The model's name.")] = "spinemar-lumbar",
) -> None:
    """Write the ONNX files and their manifest, checked against PyTorch."""
    from spinemar_training.export import export_model
    from spinemar_training.settings import load_settings

    known = json.loads(facts.read_text(encoding="utf-8"))
    typer.echo(str(export_model(load_settings(config), weights, output, known, name)))


@app.command(name="validate")
def validate_command(
    config: Config, output: Output, weights: Annotated[Path, typer.Option()]
) -> None:
    """Score weights on the validation stream."""
    from spinemar_training.running import validate
    from spinemar_training.settings import load_settings

    typer.echo(json.dumps(validate(load_settings(config), weights, output), indent=1))


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
