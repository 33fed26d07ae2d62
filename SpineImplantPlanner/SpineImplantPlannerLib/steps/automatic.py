"""Step 2 of the panel, first part: automatic plans of a construct, a level, or one pedicle."""

from dataclasses import replace

from slicer.i18n import tr as _

from SpineImplantPlannerLib import probe
from SpineImplantPlannerLib.panel import reasons, tables
from SpineImplantPlannerLib.panel.runner import CT, SPINE
from spinemar.errors import InputError
from spinemar.implants.placement import COURSES
from spinemar.planning.constructs.automatic import PlanSettings
from spinemar.planning.plans.commands import ReplacePlan
from spinemar.planning.trajectories.targets import TRAJECTORIES
from SpineMARLib.panel.jobwatch import JobWatch

_CONSTRUCT, _LEVEL, _PEDICLE = range(3)


class _Hips:
    """Has the hips outlined in the background where screws into them cannot be graded without.

    In a scene that was loaded, or on a spine that was corrected. Once for each spine: where none
    are found, the screws say that they are not graded, and why.
    """

    def __init__(self, panel):
        self._panel, self._of = panel, None
        self._watch = JobWatch(lambda _run: None, self._end)

    def look(self):
        """Start where something lacks them."""
        planner = self._panel.planner
        session = planner.session
        if session.lacksPelvis and self._of is not session.spine:
            self.stop()
            self._of = session.spine
            self._watch.start(planner.plannerJobs.pelvis(planner.ct(), session.spine))

    def _end(self, run):
        planner = self._panel.planner
        if run.error is None and planner.session.spine is self._of:
            planner.takePelvis(run.result)

    def stop(self):
        """Outline nothing more."""
        self._watch.close()
        self._of = None


class AutomaticStep:
    """Chooses what is planned, and has the worker plan it."""

    def __init__(self, panel):
        self.panel, self.ui = panel, panel.ui
        ui = self.ui
        tables.choices(ui.trajectoryCombo, TRAJECTORIES)
        tables.choices(ui.scopeCombo, [_("construct"), _("level"), _("pedicle")])
        tables.choices(ui.siteSideCombo, ["left", "right"])
        tables.choices(ui.pelvicCombo, [_("none"), *COURSES])
        self._hips = _Hips(panel)
        self.onScope()
        ui.scopeCombo.connect("activated(int)", self.onScope)
        ui.planButton.connect("clicked()", self.onPlan)

    def refresh(self):
        """Offer what can be planned."""
        self._hips.look()
        planner, ui = self.panel.planner, self.ui
        session = planner.session
        reasons.allow(
            ui.planReason,
            (
                (ui.planButton,),
                reasons.first(
                    (session.spine is None, _("Segment the spine in step 1 to plan.")),
                    (session.locked, _("Unlock the plan in step 4.")),
                    (self.panel.runner.run is not None, _("Wait for what runs, or cancel it.")),
                ),
            ),
            (
                (ui.placeButton,),
                reasons.first((planner.volumeNode is None, _("Choose a CT in step 1."))),
            ),
        )

    def close(self):
        """End what runs in the background."""
        self._hips.stop()

    def onScope(self, _index=0):
        """Offer the levels of a construct, or one level, or one pedicle."""
        scope = self.ui.scopeCombo.currentIndex
        self.ui.upperCombo.visible = self.ui.lowerCombo.visible = scope == _CONSTRUCT
        self.ui.siteLevelCombo.visible = scope != _CONSTRUCT
        self.ui.siteSideCombo.visible = scope == _PEDICLE
        self.ui.pelvicLabel.visible = self.ui.pelvicCombo.visible = scope == _CONSTRUCT

    def fillSites(self, levels):
        """Offer the levels that have pedicles."""
        tables.choices(self.ui.siteLevelCombo, levels)

    def chooseSite(self, level, side=None):
        """Choose the level, and the side, that a single screw is planned for."""
        for combo, text in ((self.ui.siteLevelCombo, level), (self.ui.siteSideCombo, side)):
            index = -1 if text is None else combo.findText(text)
            if index >= 0:
                combo.setCurrentIndex(index)

    def settings(self):
        """Return the settings of an automatic plan."""
        ui = self.ui
        return PlanSettings(
            trajectory=ui.trajectoryCombo.currentText,
            bicortical_sacrum=ui.bicorticalCheck.checked,
            pelvic=self._pelvic(),
            screw_model=ui.screwModelCombo.currentText,
            material=ui.materialCombo.currentText,
            rod=self.panel.rods.settings(),
        )

    def _pelvic(self):
        """Return the way into the ilium that a construct's plan adds; "" for none."""
        index = self.ui.pelvicCombo.currentIndex
        chosen = index > 0 and self.ui.scopeCombo.currentIndex == _CONSTRUCT
        return COURSES[index - 1] if chosen else ""

    def onPlan(self):
        planner = self.panel.planner
        scope = self.ui.scopeCombo.currentIndex
        site = self.ui.siteLevelCombo.currentText, self.ui.siteSideCombo.currentText
        spine = planner.session.spine

        def start():
            self.panel.ensurePackages()
            levels = self._levels(planner.requireSpine(), scope, site[0])
            if planner.session.locked:
                raise InputError("The plan is locked.", "Unlock it in step 4.")
            ct = planner.ct() if planner.volumeNode is not None else None
            return planner.plannerJobs.plan(ct, spine, levels, self.settings(), planner.plan)

        def finish(planned):
            planner.takePlanned(planned)
            plan = planned.plan
            if scope != _CONSTRUCT:
                plan = _merged(planner.plan, plan, site, whole=scope == _LEVEL)
            with probe.together(planner.scene):
                planner.do(ReplacePlan(plan, _("Plan automatically")))
                if scope == _PEDICLE:
                    planner.select(f"{site[0]}-{site[1]}")
                elif plan.screws and planner.selectedScrew() is None:
                    planner.select(plan.screws[0].id)
                self.panel.views.showConstruct()
            self.ui.statusLabel.text = " ".join(planned.plan.warnings)

        self.panel.runner.start(start, finish, about=(CT, SPINE))

    def _levels(self, spine, scope, level):
        names = list(spine.levels)
        if scope != _CONSTRUCT:
            if level not in names:
                raise InputError("The level is not chosen.", "Choose it at the top of step 2.")
            return [level]
        upper, lower = self.ui.upperCombo.currentText, self.ui.lowerCombo.currentText
        if upper not in names or lower not in names:
            raise InputError("The levels are not chosen.", "Choose them at the top of step 2.")
        first, last = sorted((names.index(upper), names.index(lower)))
        return names[first : last + 1]


def _merged(old, new, site, *, whole):
    """Put the new screws of a level, or of one of its pedicles, into the present plan."""
    level, side = site
    for screw in new.screws:
        present = next((s for s in old.screws if s.id == screw.id), None)
        wanted = screw.level == level and (whole or screw.side == side)
        if wanted and (present is None or not present.locked):
            old = old.with_screw(screw)
    return replace(old, warnings=new.warnings)
