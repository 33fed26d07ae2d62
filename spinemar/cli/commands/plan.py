"""`spinemar plan`: screws and rods for a spine, planned by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spinemar.base.extras import require
from spinemar.cli.console import print_json, progress_bars
from spinemar.cli.further_implants import (
    cement_request,
    hook_request,
    lateral_mass_request,
    wire_request,
)
from spinemar.cli.options import (
    CatalogueFiles,
    FirstLevel,
    Frames,
    Json,
    Labels,
    Naming,
    Overwrite,
    PlanReport,
)
from spinemar.cli.outputs import refuse_existing, refuse_existing_in
from spinemar.cli.plan_inputs import (
    plan_facts,
    print_plan,
    read_catalogue,
    read_spine,
    spine_facts,
)
from spinemar.implants.checks import MATERIALS
from spinemar.implants.placement import STANDARD_CERVICAL_ROD, STANDARD_CROSSLINK, STANDARD_ROD
from spinemar.planning.trajectories.targets import TRADITIONAL, TrajectoryKind

PelvicCourse = Literal["S2AI", "iliac"]

if TYPE_CHECKING:
    from spinemar.implants.catalogue import CageModel, Catalogue
    from spinemar.planning.constructs.automatic import PlanSettings
    from spinemar.planning.constructs.rods import RodSettings
    from spinemar.planning.plans.plan import Cage, Plan
    from spinemar.spine.model import SpineModel


def plan(
    source: Annotated[Path, typer.Argument(metavar="CT", help="The patient, without metal.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Plan (.json).")],
    levels: Annotated[str, typer.Option(help="Such as T11-L2, or T12,L2.")],
    labels: Labels = None,
    naming: Naming = "auto",
    frames: Frames = None,
    first_level: FirstLevel = None,
    trajectory: Annotated[
        TrajectoryKind, typer.Option(help="Along the pedicle, or cortical (T11 to L5).")
    ] = TRADITIONAL,
    bicortical_sacrum: Annotated[
        bool,
        typer.Option(help="Let screws of S1 pass the cortex at the promontory by a millimetre."),
    ] = False,
    pelvic_screws: Annotated[
        PelvicCourse | None,
        typer.Option(help="Add screws into both iliac bones: S2-alar-iliac, or iliac."),
    ] = None,
    screw_model: Annotated[str, typer.Option(help="Screw of the catalogue.")] = "generic-polyaxial",
    pelvic_model: Annotated[
        str, typer.Option(help="Screw of the catalogue for the iliac bones.")
    ] = "generic-iliac",
    material: Annotated[str, typer.Option(help="Of the screws, one of the model.")] = MATERIALS[0],
    rods: Annotated[bool, typer.Option(help="Contour rods through the screws.")] = True,
    rod_model: Annotated[str, typer.Option(help="Rod of the catalogue.")] = STANDARD_ROD,
    rod_diameter: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Diameter of the rods: one of the model's, near 5.5."),
    ] = None,
    crosslink: Annotated[bool, typer.Option(help="Join the rods.")] = False,
    crosslink_model: Annotated[
        str, typer.Option(help="Crosslink of the catalogue.")
    ] = STANDARD_CROSSLINK,
    cage: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL[=MODEL]", help="Cage into the disc below. Repeatable."),
    ] = None,
    screws: Annotated[
        bool, typer.Option(help="Plan screws; without, cages and the like alone.")
    ] = True,
    cement: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL[=ML]", help="Cement into the body, 3 ml. Repeatable."),
    ] = None,
    hook: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL-SIDE-WAY",
            help="Hook under the lamina, its blade up or down, or at the pedicle (T1 to T10): "
            "T10-left-up. Repeatable.",
        ),
    ] = None,
    wire: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL-SIDE", help="Wire around the lamina. Repeatable."),
    ] = None,
    lateral_mass: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL-SIDE[=WAY]",
            help="Screw into a lateral mass of C3 to C6 by the way of Magerl or of Roy-Camille; "
            "with thin rods where there are no other screws. Repeatable.",
        ),
    ] = None,
    catalogue: CatalogueFiles = None,
    keep: Annotated[
        Path | None, typer.Option(help="Plan whose locked screws stay where they are.")
    ] = None,
    stl: Annotated[Path | None, typer.Option(help="Folder for surfaces, one per implant.")] = None,
    report: PlanReport = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Plan pedicle screws and rods, and grade them on the labels.

    Pedicles that take no screw are named, and why.

    Examples:

      spinemar plan ct.nii.gz --labels vertebrae.nii.gz --levels T11-L2 -o plan.json

      spinemar plan ct.nii.gz --levels L4-S1 --bicortical-sacrum -o plan.json

      spinemar plan ct.nii.gz --levels L4-S1 --pelvic-screws S2AI --report report -o plan.json

      spinemar plan ct.nrrd --levels L4-L5 --cage L4 --report report --stl stl -o plan.json

      spinemar plan ct.nrrd --levels L4-L5 --no-screws --cage L4 -o plan.json

      spinemar plan ct.nrrd --levels T11-L2 --cement T12=4 --hook T11-left-down -o plan.json
    """
    from spinemar.io import read_volume
    from spinemar.io.study import read_study
    from spinemar.planning.constructs.assemble import with_rods
    from spinemar.planning.constructs.automatic import (
        PlanSettings,
        plan_with_alternatives,
        without_screws,
    )
    from spinemar.planning.constructs.others import with_implants
    from spinemar.planning.constructs.rods import RodSettings
    from spinemar.planning.grades.findings import with_findings
    from spinemar.planning.grades.gertzbein_robbins import grade_plan
    from spinemar.planning.plans.plan_json import read_plan, write_plan
    from spinemar.planning.report.page import (
        REPORT_FILES,
        check_report_tools,
        plan_identity,
        write_plan_report,
    )

    refuse_existing([output], overwrite=overwrite)
    refuse_existing_in(report, REPORT_FILES, overwrite=overwrite)
    refuse_existing_in(stl, ["*.stl"], overwrite=overwrite)
    if report is not None:
        check_report_tools()
    if stl is not None:
        require("A surface", "vtkmodules")
    models = read_catalogue(catalogue)
    # Screws of one metal and rods of another are sold together: each model has its own.
    same = material if material in models.rod(rod_model).materials else None
    settings = PlanSettings(
        trajectory=trajectory,
        bicortical_sacrum=bicortical_sacrum,
        pelvic=pelvic_screws or "",
        pelvic_model=pelvic_model,
        screw_model=screw_model,
        material=material,
        with_rods=rods,
        with_crosslink=crosslink,
        crosslink_model=crosslink_model,
        rod=RodSettings(rod_model, rod_diameter, same),
    )
    _check(settings, models, levels, cage or [])
    further = [
        request(text, models)
        for request, texts in (
            (cement_request, cement),
            (hook_request, hook),
            (wire_request, wire),
            (lateral_mass_request, lateral_mass),
        )
        for text in texts or []
    ]
    locked = None if keep is None else read_plan(keep)
    with progress_bars(quiet=json) as (progress, cancel):
        volume = read_volume(source)
        spine = read_spine(
            labels,
            naming,
            volume,
            frames=frames,
            first_level=first_level,
            progress=progress,
            cancel=cancel,
        )
        # Cages first: a disc too low is refused before the long work.
        cages = _cages(spine, cage or [], models)
        placed = [place(spine) for place in further]
        made = (
            plan_with_alternatives(
                spine,
                volume,
                levels,
                models,
                settings,
                locked=locked,
                progress=progress,
                cancel=cancel,
            )
            if screws
            else without_screws(spine, levels)
        )
        planned = with_implants(replace(made.plan, cages=cages), placed)
        if (hook or lateral_mass) and settings.with_rods:
            # Rods run through them too: they are bent when these are placed.
            link = settings.crosslink_model if settings.with_crosslink else None
            planned = with_rods(planned, models, _rod(planned, settings, models), crosslink=link)
        planned = grade_plan(planned, spine, made.fields) if lateral_mass else planned
        result = with_findings(planned, spine, models)
        write_plan(output, result)
        files = {"plan": output}
        if stl is not None:
            from spinemar.implants.construct_mesh import export_stl

            export_stl(stl, result, models)
            files["stl"] = stl
        if report is not None:
            files["report"] = write_plan_report(
                report,
                result,
                spine,
                volume,
                models,
                identity=plan_identity(result, read_study(source)),
                fields=made.fields,
                progress=progress,
                cancel=cancel,
            )
    if json:
        facts = {**plan_facts(result), **spine_facts(spine, result)}
        print_json({"status": "done", "input": source, "files": files, **facts})
        return
    print_plan(result, files.values())


def _rod(planned: Plan, settings: PlanSettings, catalogue: Catalogue) -> RodSettings:
    """Return the rod that is asked for; a thin one where all screws lie in lateral masses."""
    from spinemar.planning.constructs.rods import RodSettings

    thin = bool(planned.screws) and all(screw.in_lateral_mass for screw in planned.screws)
    if thin and settings.rod.model == STANDARD_ROD:
        return RodSettings(STANDARD_CERVICAL_ROD).checked(catalogue)
    return settings.rod.checked(catalogue)


def _check(settings: PlanSettings, catalogue: Catalogue, levels: str, cages: list[str]) -> None:
    """Refuse levels, sizes and materials before the CT is read."""
    from spinemar.implants.checks import check_choice
    from spinemar.spine.labels.levels import level_range

    model = catalogue.screw(settings.screw_model)
    check_choice(f"material of {model.id}", settings.material, model.materials)
    catalogue.screw(settings.pelvic_model)
    level_range(levels)
    for text in cages:
        _cage_request(text, catalogue)
    settings.rod.checked(catalogue)
    catalogue.crosslink(settings.crosslink_model)


def _cages(spine: SpineModel, wanted: list[str], catalogue: Catalogue) -> tuple[Cage, ...]:
    from spinemar.planning.constructs.cages import cage_for_disc

    requests = [_cage_request(text, catalogue) for text in wanted]
    return tuple(cage_for_disc(spine, level, model) for level, model in requests)


def _cage_request(text: str, catalogue: Catalogue) -> tuple[str, CageModel]:
    """Return level and model of "L4" or "L4=generic-plif"."""
    from spinemar.spine.labels.levels import parse_level

    level, _, model = text.partition("=")
    return parse_level(level), catalogue.cage(model or "generic-alif")
