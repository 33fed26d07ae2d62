"""Find the implants of many postoperative CTs: a plan for each, one table of all their screws.

Like a batch of corrections: a CT that fails is a row in the summary and stops nothing, and a batch
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spinemar.base.atomic_files import atomic_path, made_folder
from spinemar.base.explain import explained
from spinemar.base.files.left_over import full_suffix
from spinemar.base.files.sets import file_set, is_current
from spinemar.errors import CancelledError, InputError
from spinemar.implants.catalogue import Catalogue, load_catalogue
from spinemar.io.formats import is_image_file
from spinemar.jobs.batches.batch import fingerprint
from spinemar.jobs.batches.earlier import with_earlier, with_or_without_earlier
from spinemar.jobs.batches.items import SUMMARY, BatchItem, check_table, plan_batch
from spinemar.jobs.batches.running import check_scheduler, run_batch
from spinemar.jobs.batches.sidecar import facts_text, read_facts, stamp_of
from spinemar.planning.plans.plan import Plan
from spinemar.planning.plans.plan_json import plan_to_json
from spinemar.postop.find import model_of
from spinemar.postop.study import NoMetalError, StudySettings, study_after_operation
from spinemar.postop.table import COHORT_HEADER, cohort_csv, grade_lines, implants_facts
from spinemar.progress import CancelToken, ProgressCallback, ignore_progress

if TYPE_CHECKING:
    from spinemar.mar.settings import CorrectionSettings
    from spinemar.postop.study import PostopStudy
    from spinemar.spine.model import SpineModel
    from spinemar.volume import CTVolume

SCREWS = "implants.csv"
_KIND = "implants of a CT"


@dataclass(frozen=True)
class ImplantsRow:
    """One line of the summary.

    Parameters
    ----------
    source, output : str
        The CT, and the plan of what lies in it.
    status : str
        "done", "no metal", "skipped" (done before with the same settings), or "failed".
    message : str
        One sentence.
    levels : str
        That have screws.
    screws, rods : int
    graded, certain : int
        Screws that have a grade, and those whose interval holds one letter.
    worst : str
        The worst letter that is likeliest of a screw.
    bone : str
        What they are graded in.
    unexplained_mm3 : float
        Metal near the spine that is neither screw, head nor rod.
    seconds : float
    series : str
        Number of the series, where the source holds several.
    """

    source: str
    output: str
    status: str
    message: str
    levels: str = ""
    screws: int = 0
    rods: int = 0
    graded: int = 0
    certain: int = 0
    worst: str = ""
    bone: str = ""
    unexplained_mm3: float = 0.0
    seconds: float = 0.0
    series: str = ""


def find_implants_batch(
    sources: Sequence[str | Path],
    folder: Path,
    settings: StudySettings | None = None,
    *,
    catalogue: Catalogue | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    earlier: Sequence[str | Path] = (),
    labels: Path | None = None,
    naming: str = "auto",
    progress: ProgressCallback = ignore_progress,
    cancel: CancelToken | None = None,
) -> tuple[ImplantsRow, ...]:
    """Find the implants of all CTs of `sources`; summary.csv and implants.csv grow with them.

    Parameters
    ----------
    sources : sequence of path
        Files, DICOM folders, or folders that hold such; of each, every series.
    folder : Path
        Made where it is missing: `NAME_implants.json` for each CT (a plan) with the facts about it
        beside, `summary.csv` with a row for each CT, `implants.csv` with a row for each screw.
    settings : StudySettings, optional
    catalogue : Catalogue, optional
        The generic one by default.
    workers : int
        Local processes, each with a volume in memory.
    scheduler : str, optional
        Address of a Dask scheduler whose workers see the same paths; overrides `workers`.
    earlier : sequence of path
        DICOM folders with earlier CTs: a scan takes the latest one of the same patient ID from
        before it. Where there is none, or it does not fit, the bone is estimated from the
        corrected scan, and its row says so.
    labels : Path, optional
        Folder with vertebrae: a file with the name of its CT and any ending. A CT that has neither
        these nor an earlier CT is segmented.
    naming : str
        What their numbers mean.
    progress, cancel
        CTs that are not finished when cancelled are left out and done the next time.

    Returns
    -------
    tuple of ImplantsRow
        In the order of the sources.

    Raises
    ------
    InputError
        If there is nothing to do, the folder cannot be made, a file in it is no result of a batch,
        or the catalogue has no such screw of that material.
    CancelledError
        After the tables were written.
    """
    chosen, models = settings or StudySettings(), catalogue or load_catalogue()
    model_of(models, chosen.screw_model, chosen.material)  # refused before the long work
    check_scheduler(scheduler)
    folder = made_folder(folder)
    check_table(folder / SCREWS, COHORT_HEADER)
    found: dict[str, list[dict[str, Any]]] = {}

    def write_screws(rows: Sequence[ImplantsRow]) -> None:
        known = [row for row in rows if row.status != "failed"]
        for row in known:
            if row.output not in found:
                found[row.output] = list((_read_facts(Path(row.output)) or {}).get("screws", ()))
        text = cohort_csv((row.source, row.series, found[row.output]) for row in known)
        with atomic_path(folder / SCREWS) as temporary:
            temporary.write_text(text, encoding="utf-8")

    items = with_earlier(plan_batch(sources, folder, "_implants.json"), earlier)
    return run_batch(
        items if labels is None else _with_labels(items, labels),
        folder / SUMMARY,
        ImplantsRow,
        partial(_find_one, settings=chosen, catalogue=models, naming=naming),
        _failed,
        partial(_done_before, settings=chosen, catalogue=models, naming=naming),
        workers=workers,
        scheduler=scheduler,
        progress=progress,
        cancel=cancel or CancelToken(),
        tell=write_screws,
    )


def _find_one(
    item: BatchItem,
    settings: StudySettings,
    catalogue: Catalogue,
    naming: str,
    cancel: CancelToken | None = None,
) -> ImplantsRow:
    """Do one CT; every problem but a cancel becomes a row."""
    from spinemar.jobs.fed_back import read_scan

    try:
        wanted = _fingerprint(item, settings, catalogue, naming)
        known = _read_facts(item.output)
        before = _done_before(item, settings, catalogue, naming)
        if before is not None and is_current(item.output, (known or {}).get("sha256")):
            return before
        if known is None:
            _refuse_foreign(item.output)
        started = perf_counter()
        scan = read_scan(item.source, item.series or None, settings.correction)
        study = partial(
            study_after_operation,
            scan,
            catalogue,
            settings,
            spine=_drawn_spine(item, naming),
            cancel=cancel,
        )
        plan, facts = _found(item, scan, study, settings.correction)
        facts["seconds"] = round(perf_counter() - started, 2)
        _write(item, plan, {**facts, "batch": wanted})
    except CancelledError:
        raise
    except Exception as error:  # a fault of ours with one CT must not stop the others
        return _failed(item, str(explained(error)))
    return _row(item, facts)


def _done_before(
    item: BatchItem, settings: StudySettings, catalogue: Catalogue, naming: str
) -> ImplantsRow | None:
    """Return the row of a result of the same CT and settings; its file is not looked into."""
    known = _read_facts(item.output)
    if known is None or known.get("batch") != _fingerprint(item, settings, catalogue, naming):
        return None
    if not item.output.is_file():
        return None
    return replace(_row(item, known), status="skipped", message="Done before.")


def _found(
    item: BatchItem,
    scan: CTVolume,
    study: Callable[..., PostopStudy],
    settings: CorrectionSettings,
) -> tuple[Plan, dict[str, Any]]:
    """Return the plan of what lies in a CT, and the facts about it.

    Where the item's earlier CT does not fit, it is done without, and the facts say so.
    """
    try:
        made, message = with_or_without_earlier(
            item, scan, settings, lambda earlier: study(earlier=earlier), passes=(NoMetalError,)
        )
    except NoMetalError as error:
        return Plan(levels=()), {"status": "no metal", "message": error.problem, "bone": ""}
    found = made.found
    if not found.screws:
        message = f"No screw was found. {message}".strip()
    plan = replace(found.plan, notes=grade_lines(found))
    return plan, {
        "status": "done",
        "message": message,
        "bone": made.bone.source,
        **implants_facts(found),
    }


def _drawn_spine(item: BatchItem, naming: str) -> SpineModel | None:
    from spinemar.io import read_labels
    from spinemar.spine.anatomy.frames import frames_from_labels

    return (
        None if item.labels is None else frames_from_labels(read_labels(item.labels), naming=naming)
    )


def _with_labels(items: Sequence[BatchItem], folder: Path) -> list[BatchItem]:
    """Give each CT the labels of its name; what lies in their folder is no CT.

    Raises
    ------
    InputError
        If the folder does not exist, has no labels of any CT, or such of two.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Check the path of the labels.")
    files = [path for path in sorted(folder.iterdir()) if is_image_file(path)]
    by_name = {_stem(path): path for path in files}
    labelled = [
        replace(item, labels=by_name.get(_stem(item.source)))
        for item in items
        if folder.resolve() not in item.source.parents
    ]
    if all(item.labels is None for item in labelled):
        raise InputError(
            f"{folder} has no labels with the name of a CT.",
            "Name them as their CTs, say a.nii.gz for the CT a.nrrd.",
        )
    _check_one_each(labelled, files)
    return labelled


def _check_one_each(items: Sequence[BatchItem], files: Sequence[Path]) -> None:
    """Refuse names by which a CT would get the vertebrae of another one."""
    sources = {item.source for item in items if item.labels is not None}
    wanted = {_stem(source) for source in sources}
    for paths, what in ((sources, "CTs"), (files, "files of labels")):
        names = [_stem(path) for path in paths if _stem(path) in wanted]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"Several {what} are called {twice[0]}: which labels are whose cannot be told.",
                "Give each CT a name of its own, and its labels the same.",
            )


def _stem(path: Path) -> str:
    if path.is_dir():
        return path.name
    return path.name.removesuffix(full_suffix(path)).removesuffix(".seg")


def _fingerprint(
    item: BatchItem, settings: StudySettings, catalogue: Catalogue, naming: str
) -> dict[str, Any]:
    wanted = {
        **fingerprint(item, settings.correction),
        "labels": None if item.labels is None else stamp_of(item.labels),
        "screw": asdict(catalogue.screw(settings.screw_model)),
        "material": settings.material,
        "first_level": settings.first_level,
        "top_screw_level": settings.top_screw_level,
        "naming": naming,
    }
    known: dict[str, Any] = json.loads(json.dumps(wanted))  # as it reads back: lists, no tuples
    return known


def _facts_path(output: Path) -> Path:
    return output.with_name(f"{output.stem}_facts.json")


def _read_facts(output: Path) -> Mapping[str, Any] | None:
    """Read what was said of a result; None where there is nothing of ours to be read."""
    facts = read_facts(_facts_path(output))
    return facts if facts is not None and facts.get("kind") == _KIND else None


def _refuse_foreign(output: Path) -> None:
    for path in (output, _facts_path(output)):
        if path.exists():
            raise InputError(
                f"{path.name} exists already and is no result of a batch.",
                "Remove it, or choose another folder.",
            )


def _write(item: BatchItem, plan: Plan, facts: Mapping[str, Any]) -> None:
    path = _facts_path(item.output)
    with file_set(path) as files:
        with files.place(item.output) as temporary:
            temporary.write_text(plan_to_json(plan), encoding="utf-8")
        said = {"kind": _KIND, "input": str(item.source), "series": item.series, **facts,
                "sha256": files.sha256()}  # fmt: skip
        with files.place(path) as temporary:
            temporary.write_text(facts_text(said), encoding="utf-8")


def _failed(item: BatchItem, message: str) -> ImplantsRow:
    return ImplantsRow(str(item.source), str(item.output), "failed", message, series=item.series)


def _row(item: BatchItem, facts: Mapping[str, Any]) -> ImplantsRow:
    screws = facts.get("screws", ())
    graded = [one["grade"] for one in screws if one["best"]]
    return ImplantsRow(
        source=str(item.source),
        output=str(item.output),
        status=facts["status"],
        message=facts["message"],
        levels=" ".join(facts.get("levels", ())),
        screws=len(screws),
        rods=len(facts.get("rods", ())),
        graded=len(graded),
        certain=sum(bool(one["certain"]) for one in screws),
        worst=max(graded, default=""),
        bone=facts["bone"],
        unexplained_mm3=facts.get("unexplained_mm3", 0.0),
        seconds=facts["seconds"],
        series=item.series,
    )
