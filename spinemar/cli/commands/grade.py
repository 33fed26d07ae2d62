"""`spinemar grade`: how well the screws of a plan lie in bone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spinemar.cli.console import print_json, progress_bars
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


def grade(
    source: Annotated[Path, typer.Argument(metavar="PLAN", help="Plan (.json).")],
    volume: Annotated[Path, typer.Argument(metavar="CT", help="The patient, without metal.")],
    labels: Labels = None,
    naming: Naming = "auto",
    frames: Frames = None,
    first_level: FirstLevel = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The plan with its grades (.json).")
    ] = None,
    catalogue: CatalogueFiles = None,
    report: PlanReport = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Grade every screw after Gertzbein and Robbins, with direction; look for collisions.

    A screw is graded where its labels agree with the CT and it passes through its pedicle; else
    it is not graded, and the warnings say why.

    Examples:

      spinemar grade plan.json ct.nii.gz --labels vertebrae.nii.gz

      spinemar grade plan.json ct.nii.gz --labels vertebrae.nii.gz -o graded.json --report report
    """
    from spinemar.io import read_volume
    from spinemar.io.study import read_study
    from spinemar.planning.grades.contacts.collisions import FACET, find_collisions
    from spinemar.planning.grades.findings import with_findings
    from spinemar.planning.grades.gertzbein_robbins import grade_plan
    from spinemar.planning.grades.hu_profile import hu_profile
    from spinemar.planning.grades.pelvic_bone import pelvic_fields
    from spinemar.planning.plans.plan_json import read_plan, write_plan
    from spinemar.planning.report.page import (
        REPORT_FILES,
        check_report_tools,
        plan_identity,
        write_plan_report,
    )
    from spinemar.planning.report.tables import collision_line

    refuse_existing([output], overwrite=overwrite)
    refuse_existing_in(report, REPORT_FILES, overwrite=overwrite)
    if report is not None:
        check_report_tools()
    models = read_catalogue(catalogue)
    plan = read_plan(source)
    with progress_bars(quiet=json) as (progress, cancel):
        ct = read_volume(volume)
        spine = read_spine(
            labels,
            naming,
            ct,
            frames=frames,
            first_level=first_level,
            progress=progress,
            cancel=cancel,
        )
        fields = pelvic_fields(plan, spine, ct)
        graded = with_findings(grade_plan(plan, spine, fields), spine, models)
        collisions = find_collisions(graded, models, spine.labels)
        files: dict[str, Path] = {}
        if output is not None:
            write_plan(output, graded)
            files["plan"] = output
        if report is not None:
            files["report"] = write_plan_report(
                report,
                graded,
                spine,
                ct,
                models,
                identity=plan_identity(graded, read_study(volume)),
                fields=fields,
                progress=progress,
                cancel=cancel,
            )
    if json:
        facts = {**plan_facts(graded), **spine_facts(spine, graded)}
        for screw, entry in zip(graded.screws, facts["screws"], strict=True):
            frame = spine.vertebra(screw.level) if screw.level in spine.levels else None
            profile = hu_profile(screw, ct, frame)
            entry["hu"] = {
                name: None if value != value else value  # noqa: PLR0124  (NaN is no JSON)
                for name, value in (
                    ("mean", profile.mean_hu),
                    ("minimum", profile.minimum_hu),
                    ("pedicle", profile.pedicle_hu),
                    ("body", profile.body_hu),
                )
            }
        facts["collisions"] = [c.__dict__ for c in collisions]
        print_json({"status": "done", "input": source, "files": files, **facts})
        return
    facets = (collision_line(c) for c in collisions if c.kind == FACET)
    print_plan(graded, files.values(), facets)
