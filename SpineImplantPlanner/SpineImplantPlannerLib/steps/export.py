"""Step 5 of the panel: files out, plans in."""

import shutil
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SpineImplantPlannerLib.jobs import segments
from SpineImplantPlannerLib.nodes.metal import CT_ROLE
from SpineImplantPlannerLib.panel import reasons
from SpineImplantPlannerLib.panel.translations import translated
from SpineImplantPlannerLib.plan import exporting
from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError
from spinemar.planning.plans.commands import ReplacePlan
from spinemar.planning.plans.plan_json import read_plan
from spinemar.planning.report.wording import danger_line, in_canal
from SpineMARLib.derivedseries import seriesOf, startWriting
from SpineMARLib.nodes.dicomfiles import INSTANCE_UIDS, sourceFiles
from SpineMARLib.nodes.volumes import geometryOf
from SpineMARLib.panel.fields import chooseFolders
from SpineMARLib.panel.worker import workerCommand


class ExportStep:
    """One click writes everything that is ticked."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        self._accepted = ()
        self.page = self._askedOf = self._file = None
        chooseFolders(self.ui.exportPath)
        self.ui.openReportButton.connect("clicked()", self.onOpenReport)
        self.ui.exportButton.connect("clicked()", self.onExport)
        self.ui.importButton.connect("clicked()", self.onImport)

    def refresh(self):
        """Offer what can be exported."""
        plan, ui = self.panel.planner.plan, self.ui
        some = any(plan.items())
        busy = self.panel.runner.run is not None
        fromDicom = self._fromDicom(self.panel.scan.chosenScan())
        known = self._seriesFile() is not None
        reasons.allow(
            ui.exportReason,
            (
                (ui.exportButton,),
                reasons.first(
                    (not some, _("Plan an implant first.")),
                    (busy, _("Wait for what runs, or cancel it.")),
                ),
            ),
            (
                (ui.dicomCheckBox,),
                "" if fromDicom else _("DICOM needs a simulated scan of a CT from DICOM."),
            ),
            (
                (ui.segmentsCheckBox,),
                reasons.first(
                    (self.panel.planner.volumeNode is None, _("Choose the CT in step 1.")),
                ),
            ),
            (
                (ui.patientCheckBox,),
                "" if known else _("The patient's data are known only of a CT from DICOM."),
            ),
            ((ui.openReportButton,), "" if self.page else _("No report was written yet.")),
        )

    def _seriesFile(self):
        """Return a DICOM file of the CT's series; None where it is from none."""
        node = self.panel.planner.volumeNode
        if node is None:
            return None
        if node is not self._askedOf:
            self._askedOf, self._file = node, None
            try:
                files = sourceFiles(node, getattr(slicer, "dicomDatabase", None))
            except InputError:
                return None
            self._file = next((str(path) for path in files if Path(path).is_file()), None)
        return self._file

    @staticmethod
    def _fromDicom(scan):
        """Whether a scan is of a CT that was loaded from DICOM, and so belongs to a study."""
        source = None if scan is None else scan.GetNodeReference(CT_ROLE)
        return source is not None and bool(source.GetAttribute(INSTANCE_UIDS))

    def onExport(self):
        ui = self.ui
        if not self._wantedAllTheSame():
            return
        target = self.panel.runner.guarded(self._target)
        if target is None:
            return
        scan, segments = (self._ticked(box) for box in (ui.dicomCheckBox, ui.segmentsCheckBox))
        if not scan and not segments:
            self.panel.runner.guarded(lambda: self._export(*target))
            return
        # A worker writes DICOM beside the folder, which then takes all in at once.
        dicom = exporting.newFolder(target[0].parent, f".{target[1]}-dicom")
        start = self._startSegments if segments else self._startScan
        self.panel.runner.start(
            lambda: start(dicom, withScan=scan), lambda _files: self._export(*target, dicom)
        )

    @staticmethod
    def _ticked(box):
        return box.checked and box.enabled

    def _target(self):
        """Return the new folder to write into, and what its files are called."""
        parent = str(self.ui.exportPath.currentPath).strip()
        if not parent:
            raise InputError("No folder is chosen.", "Choose where to export to.")
        stem = str(self.ui.stemEdit.text).strip() or exporting.DEFAULT_STEM
        stem = exporting.safeName(stem)
        return exporting.newFolder(Path(parent), stem), stem

    def _export(self, folder, stem, series=None):
        try:
            files = self.write(folder, stem, series)
        finally:
            if series is not None:
                shutil.rmtree(series, ignore_errors=True)
        self.ui.statusLabel.text = _("{count} files in {folder}").format(
            count=len(files), folder=folder
        )
        if self.ui.reportCheckBox.checked:
            self.startReport(folder)

    def _wantedAllTheSame(self):
        """Ask once where screws of this plan lie in the canal; never again for the same ones."""
        dangers = tuple(danger_line(s, translated) for s in in_canal(self.panel.planner.plan))
        if not dangers or dangers == self._accepted:
            return True
        question = _("In the spinal canal:\n\n{screws}\n\nExport this plan all the same?")
        text = question.format(screws="\n".join(dangers))
        if not slicer.util.confirmYesNoDisplay(text, windowTitle=self.panel.title):
            return False
        self._accepted = dangers
        return True

    def write(self, folder, stem, series=None):
        """Write what is ticked but the report, which takes longer: all of it, or nothing.

        `series` is a folder with the DICOM files, which is taken in.
        """
        planner, ui = self.panel.planner, self.ui
        plain = ui.jsonCheckBox.checked
        wanted = exporting.Wanted(
            json=plain,
            csv=plain,
            stl=ui.stlCheckBox.checked,
            vtk=ui.vtkCheckBox.checked,
        )
        session = planner.session
        with atomic_path(folder) as temporary:
            files = exporting.exportPlan(
                temporary,
                planner.plan,
                session.catalogue,
                session.profiles(),
                session.frames(),
                wanted,
                stem,
            )
            if series is not None:
                files += sorted(series.rename(temporary / "dicom").iterdir())
        files = [folder / path.relative_to(temporary) for path in files]
        if ui.sceneCheckBox.checked:
            files.append(folder / f"{stem}.mrb")
            if not slicer.util.saveScene(str(files[-1])):
                raise InputError(f"{files[-1].name} could not be written.", "Check the disk.")
        return files

    def _startScan(self, folder, withScan=True):
        """Start writing the simulated scan as a derived series of the CT's study."""
        scan, sources, said = self._scanSaid()
        return startWriting(
            scan, sources, folder, slicer.app.temporaryPath, workerCommand(), **said
        )

    def _startSegments(self, folder, withScan):
        """Start writing the implants as segments of the CT, and the scan beside them."""
        planner, series = self.panel.planner, None
        if withScan:
            scan, sources, said = self._scanSaid()
            series = seriesOf(scan, sources, folder, **said)
        node = planner.volumeNode
        known = self._seriesFile() is not None
        images = sourceFiles(node, getattr(slicer, "dicomDatabase", None)) if known else ()
        return segments.start(
            planner.plannerJobs, planner.plan, geometryOf(node), folder, images, series
        )

    def _scanSaid(self):
        """Return the simulated scan, the files of its CT, and what is said of the series."""
        from spinemar import __version__

        scan = self.panel.scan.chosenScan()
        sources = sourceFiles(
            scan.GetNodeReference(CT_ROLE), getattr(slicer, "dicomDatabase", None)
        )
        return (
            scan,
            sources,
            {
                "description": "Simulated scan with planned implants",
                "provenance": {"software_version": __version__},
            },
        )

    def startReport(self, folder):
        planner = self.panel.planner

        def start():
            self.panel.ensurePackages()
            return planner.plannerJobs.report(
                planner.ct(),
                planner.requireSpine(),
                planner.plan,
                folder,
                self._seriesFile(),
                withPatient=self.ui.patientCheckBox.enabled and self.ui.patientCheckBox.checked,
            )

        def finish(page):
            self.page = page
            self.ui.statusLabel.text = _("Report: {page}").format(page=page)

        self.panel.runner.start(start, finish)

    def onOpenReport(self):
        """Open the last report in the system's browser."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.page)))

    def onImport(self):
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Import a plan"),
            str(self.ui.exportPath.currentPath),
            _("Plans (*.json)"),
        )
        if path:
            self.panel.runner.guarded(lambda: self.importPlan(Path(str(path))))

    def importPlan(self, path):
        """Load a plan; where it lies outside this CT, ask about the alignment of the two scans."""
        planner = self.panel.planner
        plan = read_plan(path)
        if planner.volumeNode is not None:
            bounds = [0.0] * 6
            planner.volumeNode.GetRASBounds(bounds)
            question = None
            if not exporting.fits(plan, bounds):
                question = _(
                    "Most of this plan lies outside the CT: it was made in another scan's "
                    "coordinates. Register the two scans first, or load it where it is?"
                )
            elif self._notGradable(plan):
                question = _(
                    "This plan's screws do not lie where the vertebrae of this CT are. Was it made "
                    "in another scan? Load it all the same?"
                )
            if question and not slicer.util.confirmYesNoDisplay(
                question, windowTitle=self.panel.title
            ):
                return
        planner.do(ReplacePlan(plan, _("Import plan")))

    def _notGradable(self, plan):
        """Whether the screws lie beside the vertebrae that they name."""
        session = self.panel.planner.session
        named = [s for s in plan.screws if session.frame(s.level) is not None]
        far = [s for s in named if abs(session.frame(s.level).to_local(s.tip)).max() > 45.0]
        return bool(named) and len(far) * 2 > len(named)
