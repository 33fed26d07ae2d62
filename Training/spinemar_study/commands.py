"""`spinemar-study`: every study from the command line; results are JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from spinemar_training.boundary import run

app = typer.Typer(no_args_is_help=True, help=__doc__)

Config = Annotated[Path, typer.Argument(help="The study's YAML file.")]
Result = Annotated[Path, typer.Option("-o", "--output", help="JSON file of the results.")]
Work = Annotated[Path, typer.Option(help="Folder for scans and corrections; used again.")]
WORK = Path("runs/study")

Rows = list[dict[str, Any]]


@app.command()
def scenes(config: Config, work: Work = WORK) -> None:
    """Scan and correct the scenes that findings, width and hu read."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.scenes.methods import study_methods
    from spinemar_study.scenes.scan_collection import fill_collection
    from spinemar_study.study_settings import CollectionSettings

    settings = read_yaml(CollectionSettings, config)
    fill_collection(settings, study_methods(models=settings.models), work)


@app.command()
def findings(config: Config, output: Result, work: Work = WORK) -> None:
    """Measure which findings are kept, and which are seen where there are none."""
    from spinemar_study.studies import findings as study

    _from_collection(
        "findings", config, output, work, study.measure_findings, study.summarise_findings
    )


@app.command()
def width(config: Config, output: Result, work: Work = WORK) -> None:
    """Measure how wide screws look, and the grade that a reader would give them."""
    from spinemar_study.studies import width as study

    _from_collection("width", config, output, work, study.measure_widths, study.summarise_widths)


@app.command()
def hu(config: Config, output: Result, work: Work = WORK) -> None:
    """Measure HU in vertebral bodies and muscle beside metal."""
    from spinemar_study.studies import hu as study

    _from_collection("hu", config, output, work, study.measure_hu, study.summarise_hu)


def _from_collection(
    name: str,
    config: Path,
    output: Path,
    work: Path,
    measure: Callable[..., Rows],
    summarise: Callable[[Rows], dict[str, Any]],
) -> None:
    """Measure scans of the collection, scanning and correcting what is not there yet."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.results import model_facts, write_result
    from spinemar_study.scenes.methods import study_methods
    from spinemar_study.study_settings import CollectionSettings

    settings = read_yaml(CollectionSettings, config)
    model = model_facts()
    rows = measure(settings, study_methods(models=settings.models), work)
    write_result(output, name, settings, rows, summarise(rows), model)


@app.command()
def robustness(config: Config, output: Result, work: Work = WORK) -> None:
    """Change one condition at a time and see what the correction and its gate do."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.results import model_facts, write_result
    from spinemar_study.scenes.methods import study_methods
    from spinemar_study.studies import robustness as study
    from spinemar_study.study_settings import RobustnessSettings

    settings = read_yaml(RobustnessSettings, config)
    model = model_facts()
    rows = study.measure_robustness(settings, study_methods(("nmar", "generator")), work)
    write_result(output, "robustness", settings, rows, study.summarise_robustness(rows), model)


@app.command()
def real(config: Config, output: Result, work: Work = WORK) -> None:
    """Correct real scans with metal; pictures go to the work folder."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.results import model_facts, write_result
    from spinemar_study.studies import real as study
    from spinemar_study.study_settings import RealSettings

    settings = read_yaml(RealSettings, config)
    model = model_facts()
    rows = study.correct_real(settings, work)
    write_result(output, "real", settings, rows, study.summarise_real(settings, rows), model)


@app.command()
def placement(config: Config, output: Result, work: Work = WORK) -> None:
    """Train on realistic and random placement (and both mixed), and score on unseen patients."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.results import model_facts, write_result
    from spinemar_study.studies.placement import choose_arms, train_arms, training_store
    from spinemar_study.studies.placement_reasons import describe_pairs, summarise_reasons
    from spinemar_study.studies.placement_scores import score_arms, summarise_placement
    from spinemar_study.study_settings import PlacementSettings

    settings = read_yaml(PlacementSettings, config)
    folder = work / config.stem
    model = model_facts()
    store = training_store(Path(settings.store))
    arms = choose_arms(store, settings, folder)
    runs = train_arms(settings, store, arms, folder)
    rows = score_arms(settings, tuple(arms), folder)
    described = describe_pairs(store, [*arms["realistic"], *arms["random"]])
    summary = {**summarise_placement(rows), "why": summarise_reasons(described)}
    write_result(output, "placement", settings, rows, summary, model, runs=runs, pairs=described)


@app.command()
def measured(
    config: Config,
    model: Annotated[Path, typer.Option(help="Manifest whose prior and generator it starts from.")],
) -> None:
    """Train generators that see the rest of the measured rays, and play them against a critic."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.measured.runs import run_measured
    from spinemar_study.study_settings import MeasuredSettings

    for path in run_measured(read_yaml(MeasuredSettings, config), model, typer.echo):
        typer.echo(str(path))


@app.command()
def freeze(config: Config, output: Result) -> None:
    """Write the shipped model's scores on the frozen scenes, for the regression test."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.scenes.methods import study_methods
    from spinemar_study.studies import regression as study
    from spinemar_study.study_settings import RegressionSettings

    settings = read_yaml(RegressionSettings, config)
    study.freeze(settings, study_methods(("nmar", "shipped")), output)


@app.command()
def page(
    results: Annotated[Path, typer.Argument(help="Folder of the studies' JSON.")],
    document: Annotated[Path, typer.Argument(help="Markdown page with places for tables.")],
    pictures: Annotated[Path, typer.Option(help="Folder for the plots.")],
) -> None:
    """Write tables and plots from the studies' results."""
    from spinemar_study.pages.page import fill_page
    from spinemar_study.pages.plots import draw_plots

    for path in draw_plots(results, pictures):
        typer.echo(str(path))
    typer.echo(", ".join(fill_page(document, results)))


@app.command()
def pictures(
    config: Config,
    output: Annotated[Path, typer.Option("-o", "--output", help="JPEG file.")],
    show: Annotated[list[str], typer.Option(help="Scene and findings, such as 3:b.")],
    work: Work = WORK,
) -> None:
    """Draw findings in the sample CT, before and after."""
    from spinemar_training.run_settings import read_yaml

    from spinemar_study.pages.pictures import draw_findings
    from spinemar_study.scenes.methods import study_methods
    from spinemar_study.study_settings import CollectionSettings

    settings = read_yaml(CollectionSettings, config)
    chosen = [(int(n), group) for n, group in (entry.split(":") for entry in show)]
    draw_findings(settings, study_methods(("nmar", "generator")), work, output, chosen)


def main() -> None:
    """Entry point: errors become a sentence and an exit code."""
    run(app)


if __name__ == "__main__":
    main()
