"""Step 2 of the panel: levels, automatic plans, the table of screws, the selected screw."""

import qt
from slicer.i18n import tr as _

from SpineImplantPlannerLib.handles.clicking import Clicks
from SpineImplantPlannerLib.panel import reasons, tables
from SpineImplantPlannerLib.panel.translations import translated
from SpineImplantPlannerLib.plan.placing import nextSize, screwFromClicks, swapped, withModel
from spinemar.errors import InputError
from spinemar.planning.plans.commands import (
    LockImplant,
    MoveScrew,
    PutImplant,
    RemoveImplant,
    ReplacePlan,
    ResizeScrew,
)
from spinemar.planning.report.colours import grade_colour
from spinemar.planning.report.tables import pedicle_fill
from spinemar.planning.report.wording import grade_line, screw_line, short_name
from spinemar.planning.trajectories.angles import ScrewAngles, screw_angles, tip_at_angles
from spinemar.planning.trajectories.mirror import mirror_screw
from spinemar.spine.labels.levels import sort_levels

_NAME, _GRADE, _SIZE, _HU, _LOCK = range(5)
_MARK = "\u25b6 "
# The boxes show angles to a tenth of a degree: less than half of that was not typed.
_HALF_A_STEP_DEG = 0.051


class ScrewsStep:
    """Everything about screws but the views."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        self._ids = []
        self._clicks = None
        tables.prepare(
            ui.screwTable,
            [_("Screw"), _("Grade"), _("Size, mm"), _("HU mean, least"), _("Lock")],
        )
        ui.screwTable.setSelectionMode(qt.QAbstractItemView.NoSelection)
        # A long grade takes more lines, not the room of the other columns.
        header = ui.screwTable.horizontalHeader()
        header.setMinimumSectionSize(header.sectionSizeHint(_GRADE))
        header.setSectionResizeMode(_GRADE, qt.QHeaderView.Stretch)
        catalogue = panel.planner.session.catalogue
        models = [model.id for model in catalogue.screws]
        tables.choices(ui.screwModelCombo, models)
        tables.choices(ui.selectedModelCombo, models)
        self.onModel()
        ui.screwModelCombo.connect("activated(int)", self.onModel)
        ui.placeButton.connect("toggled(bool)", self.onPlace)
        ui.screwTable.connect("cellClicked(int,int)", self.onCell)
        for name in ("diameterCombo", "lengthCombo"):
            getattr(ui, name).connect("activated(int)", self.onSize)
        ui.selectedModelCombo.connect("activated(int)", self.onSelectedModel)
        self._spins = [getattr(ui, f"{end}{axis}") for end in ("entry", "tip") for axis in "RAS"]
        for spin in self._spins:
            spin.connect("valueChanged(double)", self.onNumbers)
        self._angleSpins = (ui.convergenceSpinBox, ui.cranialSpinBox)
        for spin in self._angleSpins:
            spin.connect("valueChanged(double)", self.onAngles)
        for name, slot in (
            ("mirror", self.onMirror),
            ("swap", self.onSwap),
            ("lock", self.onLock),
            ("delete", self.onDelete),
        ):
            getattr(ui, f"{name}Button").connect("clicked()", slot)

    # What is shown.

    def refresh(self):
        """Fill the table with the plan's screws."""
        planner, ui = self.panel.planner, self.ui
        plan = planner.plan
        order = {
            level: n
            for n, level in enumerate(sort_levels({s.level for s in plan.screws if s.level}))
        }
        screws = sorted(plan.screws, key=lambda s: (order.get(s.level, 99), s.side))
        self._ids = [screw.id for screw in screws]
        profiles = planner.session.profiles(screws)
        rows, colours = [], {}
        for row, screw in enumerate(screws):
            rows.append(self._cells(screw, profiles.get(screw.id)))
            colours[row, _GRADE] = grade_colour(screw)
        tables.fill(ui.screwTable, rows, colours)
        self.showSelected()

    def _cells(self, screw, profile):
        hu = (
            "-"
            if profile is None or profile.mean_hu != profile.mean_hu
            else (f"{profile.mean_hu:.0f} / {profile.minimum_hu:.0f}")
        )
        return [
            short_name(screw),
            grade_line(screw, translated),
            f"{screw.diameter_mm:g} x {screw.length_mm:g}",
            hu,
            _("locked") if screw.locked else "",
        ]

    def showMoving(self, screw):
        """Follow a drag: only the row of this screw changes."""
        if screw.id not in self._ids:
            return
        row = self._ids.index(screw.id)
        cells = self._cells(screw, self.panel.planner.session.profile(screw))
        tables.setCell(self.ui.screwTable, row, _GRADE, cells[_GRADE], grade_colour(screw))
        tables.setCell(self.ui.screwTable, row, _HU, cells[_HU])
        self._describe(screw)

    def showSelected(self):
        """Show the selected screw's numbers."""
        ui, planner = self.ui, self.panel.planner
        screw = planner.selectedScrew()
        noScrew = (screw is None, _("Select a screw to change it: click its row."))
        locked = (planner.session.locked, _("The plan is locked: unlock it in step 4."))
        own = (screw is not None and screw.locked, _("This screw is locked."))
        frame = None if screw is None else planner.session.frame(screw.level)
        noFrame = (frame is None, _("Angles and pedicle need the screw's vertebra."))
        hands = (ui.mirrorButton, ui.swapButton, ui.deleteButton, ui.diameterCombo,
                 ui.lengthCombo, ui.selectedModelCombo, *self._spins)  # fmt: skip
        reasons.allow(
            ui.screwReason,
            (hands, reasons.first(noScrew, locked, own)),
            ((ui.lockButton,), reasons.first(noScrew, locked)),
            (self._angleSpins, reasons.first(noScrew, locked, own, noFrame)),
        )
        for row, name in enumerate(self._ids):
            # Not Qt's selection, whose colour would hide the grade's.
            mark = _MARK if screw is not None and name == screw.id else ""
            text = ui.screwTable.item(row, _NAME).text().removeprefix(_MARK)
            tables.setCell(ui.screwTable, row, _NAME, mark + text)
        ui.screwTable.resizeColumnToContents(_NAME)
        if screw is not None and screw.id in self._ids:
            ui.screwTable.scrollToItem(ui.screwTable.item(self._ids.index(screw.id), _GRADE))
        if screw is None:
            ui.selectedLabel.text = _("Click a row, or a screw's handle in a view, to select it.")
            ui.fillLabel.text = "-"
            return
        ui.lockButton.text = _("Unlock") if screw.locked else _("Lock")
        model = planner.session.catalogue.screw(screw.model)
        for combo, sizes, own in (
            (ui.diameterCombo, model.diameters_mm, screw.diameter_mm),
            (ui.lengthCombo, model.lengths_mm, screw.length_mm),
        ):
            # A screw that was found, or is of another catalogue, has a size of its own.
            tables.choices(combo, [f"{one:g}" for one in sorted({*sizes, own})], f"{own:g}")
        tables.choices(
            ui.selectedModelCombo, [m.id for m in planner.session.catalogue.screws], screw.model
        )
        for spin, value in zip(self._spins, (*screw.entry, *screw.tip), strict=True):
            tables.setValue(spin, value)
        self._describe(screw)

    def _describe(self, screw):
        grade = screw.grade
        text = _("<b>{name}</b>: {grade}").format(
            name=screw.id, grade=screw_line(screw, translated)
        )
        if grade is not None and grade.margin_mm > 0.0:
            text += _(", {margin:.1f} mm of bone at the least").format(margin=grade.margin_mm)
        profile = self.panel.planner.session.profile(screw)
        if profile is not None and profile.mean_hu == profile.mean_hu:
            text += _("; HU {mean:.0f} (pedicle {pedicle:.0f}, body {body:.0f})").format(
                mean=profile.mean_hu, pedicle=profile.pedicle_hu, body=profile.body_hu
            )
        self.ui.selectedLabel.text = text
        self._lie(screw)

    def _lie(self, screw):
        """Show how a screw lies in its vertebra."""
        frame = self.panel.planner.session.frame(screw.level)
        self.ui.fillLabel.text = pedicle_fill(screw, frame) or "-"
        if frame is not None:
            angles = screw_angles(screw, frame)
            values = angles.convergence_deg, angles.cranial_deg
            for spin, value in zip(self._angleSpins, values, strict=True):
                tables.setValue(spin, value)

    # Hands.

    def onPlace(self, on):
        if self._clicks is not None:
            self._clicks.stop()
            self._clicks = None
        if on:
            self.ui.statusLabel.text = _("Click the entry, then the target; right-click gives up.")
            self._clicks = Clicks(
                self.panel.planner.scene,
                2,
                "Entry and target",
                self.onClicked,
                self.onStopped,
                lambda call: qt.QTimer.singleShot(0, call),
            )

    def onStopped(self):
        self._clicks = None
        self.ui.placeButton.checked = False
        self.ui.statusLabel.text = ""

    def onClicked(self, entry, target):
        planner = self.panel.planner

        def place():
            model = planner.session.catalogue.screw(self.ui.screwModelCombo.currentText)
            screw = screwFromClicks(
                planner.plan,
                planner.session.spine,
                entry,
                target,
                model,
                self.ui.materialCombo.currentText,
            )
            planner.do(PutImplant(screw))
            planner.select(screw.id)

        self.panel.runner.guarded(place)

    def onCell(self, row, column):
        planner = self.panel.planner
        if row < len(self._ids):
            planner.select(self._ids[row])
            if column == _LOCK:
                self.onLock()
            else:
                self.panel.views.showSelected()

    def onModel(self, _index=0):
        model = self.panel.planner.session.catalogue.screw(self.ui.screwModelCombo.currentText)
        tables.choices(self.ui.materialCombo, model.materials)

    def _do(self, make):
        screw = self.panel.planner.selectedScrew()
        if screw is not None:
            self.panel.runner.guarded(lambda: self.panel.planner.do(make(screw)))

    def onSize(self, _index=0):
        diameter = float(self.ui.diameterCombo.currentText)
        length = float(self.ui.lengthCombo.currentText)
        self._do(lambda screw: ResizeScrew(screw.id, diameter, length))

    def step(self, diameter=0, length=0):
        """Take the next size of the catalogue."""
        screw = self.panel.planner.selectedScrew()
        if screw is None:
            return
        model = self.panel.planner.session.catalogue.screw(screw.model)
        size = (
            nextSize(model.diameters_mm, screw.diameter_mm, diameter),
            nextSize(model.lengths_mm, screw.length_mm, length),
        )
        if size != (screw.diameter_mm, screw.length_mm):
            self._do(lambda screw: ResizeScrew(screw.id, *size))

    def stepSelection(self, rows):
        """Select the next screw of the table, or the one before, and show it."""
        if self._ids:
            name = self.panel.planner.selected
            row = self._ids.index(name) + rows if name in self._ids else 0
            self.onCell(row % len(self._ids), 0)

    def onSelectedModel(self, _index=0):
        catalogue = self.panel.planner.session.catalogue
        model = catalogue.screw(self.ui.selectedModelCombo.currentText)
        self._do(lambda screw: PutImplant(withModel(screw, model)))

    def onNumbers(self, _value=0.0):
        values = tuple(float(spin.value) for spin in self._spins)
        self._do(lambda screw: MoveScrew(screw.id, values[:3], values[3:]))

    def onAngles(self, _value=0.0):
        """Turn the screw about its entry; the angle that was not typed stays exactly."""
        session = self.panel.planner.session

        def turned(screw):
            frame = session.frame(screw.level)
            now = screw_angles(screw, frame)
            typed = [float(spin.value) for spin in self._angleSpins]
            kept = [
                new if abs(new - old) > _HALF_A_STEP_DEG else old
                for new, old in zip(typed, (now.convergence_deg, now.cranial_deg), strict=True)
            ]
            return MoveScrew(screw.id, screw.entry, tip_at_angles(screw, frame, ScrewAngles(*kept)))

        self._do(turned)

    def onMirror(self):
        session = self.panel.planner.session

        def mirrored(screw):
            plane = session.mirrorPlane(screw.level)
            if plane is None:
                raise InputError(
                    f"{screw.id} has no vertebra to mirror in.", "Segment the spine in step 1."
                )
            return PutImplant(mirror_screw(screw, plane))

        self._do(mirrored)

    def onSwap(self):
        plan = self.panel.planner.plan
        self._do(lambda screw: ReplacePlan(swapped(plan, screw.level), _("Swap sizes")))

    def onLock(self):
        self._do(lambda screw: LockImplant(screw.id, not screw.locked))

    def onDelete(self):
        self._do(lambda screw: RemoveImplant(screw.id))
