"""Step 3 of the panel: rods, crosslinks, cages, cement, hooks, wires, lateral mass screws."""

from dataclasses import replace
from itertools import pairwise

from slicer.i18n import tr as _

from SpineImplantPlannerLib.panel import reasons, tables
from SpineImplantPlannerLib.plan.session import withRod
from spinemar.errors import InputError
from spinemar.implants.placement import (
    LATERAL_MASS_WAYS,
    SIDES,
    STANDARD_CEMENT,
    STANDARD_HOOK,
    STANDARD_LATERAL_MASS,
    STANDARD_PEDICLE_HOOK,
    STANDARD_WIRE,
    Rod,
    Screw,
)
from spinemar.planning.constructs.assemble import add_crosslink
from spinemar.planning.constructs.cages import cage_for_disc
from spinemar.planning.constructs.lateral_mass import lateral_mass_screw
from spinemar.planning.constructs.others import (
    cement_in_body,
    hook_at_lamina,
    hook_at_pedicle,
    wire_at_lamina,
)
from spinemar.planning.constructs.rods import RodSettings, hooks_on_rod
from spinemar.planning.plans.commands import LockImplant, PutImplant, RemoveImplant, ReplacePlan
from spinemar.planning.report.tables import bend_rows, rod_facts

_CEMENT, _HOOK_UP, _HOOK_DOWN, _WIRE, _PEDICLE_HOOK, _MAGERL, _ROY_CAMILLE = range(7)
_LATERAL_MASS = {_MAGERL: LATERAL_MASS_WAYS[0], _ROY_CAMILLE: LATERAL_MASS_WAYS[1]}


class RodsStep:
    """Contours rods, shows how to bend them, places cages and crosslinks."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        catalogue = panel.planner.session.catalogue
        tables.choices(ui.rodModelCombo, [rod.id for rod in catalogue.rods])
        self.onRodModel()
        tables.choices(ui.cageModelCombo, [cage.id for cage in catalogue.cages])
        tables.prepare(ui.bendTable, [_("From top, mm"), _("Bend, °"), _("Towards")])
        for name, slot in (
            ("contour", self.onContour),
            ("removeRods", self.onRemoveRods),
            ("crosslink", self.onCrosslink),
            ("rodLock", self.onRodLock),
            ("cage", self.onCage),
            ("removeImplant", self.onRemove),
            ("further", self.onFurther),
        ):
            getattr(ui, f"{name}Button").connect("clicked()", slot)
        tables.choices(
            ui.furtherKindCombo,
            [
                _("cement"),
                _("hook, blade up"),
                _("hook, blade down"),
                _("wire"),
                _("hook at the pedicle"),
                _("lateral mass screw, Magerl"),
                _("lateral mass screw, Roy-Camille"),
            ],
        )
        tables.choices(ui.furtherSideCombo, SIDES)
        volumes = catalogue.cement(STANDARD_CEMENT).volumes_ml
        tables.choices(ui.furtherVolumeCombo, [f"{ml:g}" for ml in volumes], f"{volumes[-1] / 2:g}")
        ui.furtherKindCombo.connect("activated(int)", self.onFurtherKind)
        self.onFurtherKind()
        ui.rodsFollowCheckBox.connect("toggled(bool)", self.onFollow)
        ui.rodModelCombo.connect("activated(int)", self.onRodModel)
        ui.rodCombo.connect("activated(int)", self.onRod)

    def settings(self):
        """Return the settings of new rods."""
        return RodSettings(
            model=self.ui.rodModelCombo.currentText,
            diameter_mm=float(self.ui.rodDiameterCombo.currentText),
            material=self.ui.rodMaterialCombo.currentText,
        )

    def chosenRod(self):
        """Return the rod that is shown; None if there is none."""
        name = self.ui.rodCombo.currentText
        return next((rod for rod in self.panel.planner.plan.rods if rod.id == name), None)

    def refresh(self):
        """Show rods, cages and crosslinks of the plan."""
        ui, planner = self.ui, self.panel.planner
        plan = planner.plan
        tables.choices(ui.rodCombo, [rod.id for rod in plan.rods])
        others = [item.id for item in plan.items() if not isinstance(item, Screw | Rod)]
        tables.choices(ui.implantCombo, others)
        rod = self.chosenRod()
        few = len(plan.screws) + len(plan.hooks) < 2
        fewScrews = (few, _("A rod needs two screws or hooks."))
        noRod = (not plan.rods, _("Contour rods first."))
        oneRod = (len(plan.rods) < 2, _("A crosslink needs two rods."))
        reasons.allow(
            ui.rodsReason,
            ((ui.contourButton,), reasons.first(fewScrews)),
            ((ui.removeRodsButton, ui.rodLockButton, ui.rodViewButton), reasons.first(noRod)),
            ((ui.crosslinkButton,), reasons.first(oneRod)),
        )
        noSpine = (planner.session.spine is None, _("Segment the spine in step 1."))
        nothing = (not others, _("No cage or crosslink is placed."))
        reasons.allow(ui.furtherReason, ((ui.furtherButton,), reasons.first(noSpine)))
        reasons.allow(
            ui.cageReason,
            ((ui.cageButton,), reasons.first(noSpine)),
            ((ui.removeImplantButton,), reasons.first(nothing)),
        )
        if rod is None:
            ui.rodLabel.text = _("No rods yet.")
            tables.fill(ui.bendTable, [])
            return
        ui.rodLockButton.text = _("Unlock rod") if rod.locked else _("Lock rod")
        ui.rodLabel.text = rod_facts(rod, plan, planner.session.catalogue)
        tables.fill(ui.bendTable, bend_rows(rod))

    def fillLevels(self, levels):
        """Offer the discs between the levels."""
        discs = [f"{a}/{b}" for a, b in pairwise(levels)]
        upper, lower = self.ui.upperCombo.currentText, self.ui.lowerCombo.currentText
        inside = levels[levels.index(upper) : levels.index(lower)] if upper in levels else []
        wanted = next((d for d in reversed(discs) if d.partition("/")[0] in inside), None)
        tables.choices(self.ui.cageLevelCombo, discs, wanted)
        tables.choices(self.ui.furtherLevelCombo, levels)

    def _do(self, make):
        self.panel.runner.guarded(lambda: self.panel.planner.do(make(self.panel.planner.plan)))

    def onContour(self):
        catalogue = self.panel.planner.session.catalogue

        def contoured(plan):
            screws = [screw.side for screw in plan.screws]
            if not any(screws.count(s) + len(hooks_on_rod(plan, s)) > 1 for s in SIDES):
                raise InputError("A rod needs two screws on a side.", "Plan or place them first.")
            for side in SIDES:
                plan = withRod(plan, side, catalogue, self.settings())
            return ReplacePlan(plan, _("Contour rods"))

        self._do(contoured)

    def onRemoveRods(self):
        self._do(
            lambda plan: ReplacePlan(
                replace(plan, rods=tuple(rod for rod in plan.rods if rod.locked), crosslinks=()),
                _("Remove rods"),
            )
        )

    def onCrosslink(self):
        catalogue = self.panel.planner.session.catalogue

        def linked(plan):
            new = add_crosslink(plan, catalogue)
            if new == plan:
                raise InputError(
                    "No crosslink of the catalogue fits between the rods.",
                    "Move the rods nearer to each other.",
                )
            return ReplacePlan(new, _("Add crosslink"))

        self._do(linked)

    def onRodModel(self, _index=0):
        """Offer the sizes and materials in which the chosen rod is made."""
        ui = self.ui
        model = self.panel.planner.session.catalogue.rod(ui.rodModelCombo.currentText)
        size = ui.rodDiameterCombo.currentText or "5.5"
        tables.choices(ui.rodDiameterCombo, [f"{d:g}" for d in model.diameters_mm], size)
        tables.choices(ui.rodMaterialCombo, model.materials, ui.rodMaterialCombo.currentText)

    def onRodLock(self):
        rod = self.chosenRod()
        if rod is not None:
            self._do(lambda _plan: LockImplant(rod.id, not rod.locked))

    def onFollow(self, on):
        self.panel.planner.session.rodsFollow = on

    def onRod(self, _index):
        self.refresh()
        self.panel.views.turn()

    def onCage(self):
        upper = self.ui.cageLevelCombo.currentText.partition("/")[0]
        model = self.ui.cageModelCombo.currentText
        planner = self.panel.planner

        def cage(_plan):
            spine = planner.requireSpine()
            if not upper:
                raise InputError("No disc is chosen.", "Choose one beside 'Cage'.")
            return PutImplant(cage_for_disc(spine, upper, planner.session.catalogue.cage(model)))

        self._do(cage)

    def onFurtherKind(self, _index=0):
        """Ask for the volume of cement, or the side of a lamina."""
        ui = self.ui
        cement = ui.furtherKindCombo.currentIndex == _CEMENT
        ui.furtherVolumeComboLabel.visible = ui.furtherVolumeCombo.visible = cement
        ui.furtherSideComboLabel.visible = ui.furtherSideCombo.visible = not cement

    def onFurther(self):
        """Place what is chosen in the chosen vertebra."""
        planner, ui = self.panel.planner, self.ui
        catalogue = planner.session.catalogue
        kind, level = ui.furtherKindCombo.currentIndex, ui.furtherLevelCombo.currentText
        side, volume = ui.furtherSideCombo.currentText, float(ui.furtherVolumeCombo.currentText)

        def placed(_plan):
            spine = planner.requireSpine()
            if kind == _CEMENT:
                item = cement_in_body(spine, level, catalogue.cement(STANDARD_CEMENT), volume)
            elif kind in _LATERAL_MASS:
                model = catalogue.screw(STANDARD_LATERAL_MASS)
                item = lateral_mass_screw(spine, level, side, _LATERAL_MASS[kind], model)
            elif kind == _PEDICLE_HOOK:
                item = hook_at_pedicle(spine, level, side, catalogue.hook(STANDARD_PEDICLE_HOOK))
            elif kind == _WIRE:
                item = wire_at_lamina(spine, level, side, catalogue.wire(STANDARD_WIRE))
            else:
                way = "up" if kind == _HOOK_UP else "down"
                item = hook_at_lamina(spine, level, side, way, catalogue.hook(STANDARD_HOOK))
            return PutImplant(item)

        self._do(placed)

    def onRemove(self):
        name = self.ui.implantCombo.currentText
        if name:
            self._do(lambda _plan: RemoveImplant(name))
