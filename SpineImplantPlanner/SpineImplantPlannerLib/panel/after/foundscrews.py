"""The screws that were found in a CT, as a table, with what lies near and what was planned."""

from slicer.i18n import tr as _

from SpineImplantPlannerLib.panel import tables
from SpineImplantPlannerLib.panel.translations import translated
from spinemar.planning.report.colours import grade_colour
from spinemar.planning.report.wording import letter_of
from spinemar.spine.labels.levels import LEVELS

_COLUMNS = ("bone_before_tip_mm", "endplate_mm", "facet_mm")
_PLANNED = ("planned_entry_mm", "planned_tip_mm", "planned_angle_deg")
_PLACE = ("entry_r", "entry_a", "entry_s", "tip_r", "tip_a", "tip_s")


class FoundScrews:
    """Shows the screws that still lie as they were found, and asks for levels that are a guess."""

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self._found, self._ids = None, []
        headings = [_("Screw"), _("Grade"), _("Before tip, mm"), _("Endplate, mm"), _("Facet, mm"),
                    _("Entry, mm"), _("Tip, mm"), _("Angle, °")]  # fmt: skip
        tables.prepare(self._ui.foundTable, headings)
        self._ui.foundTable.connect("cellClicked(int,int)", self.onCell)

    def take(self, found):
        """Show a result that became the plan."""
        self._found = found
        self.refresh()

    def refresh(self):
        """Show what of the result is still so."""
        ui, rows, colours = self._ui, [], {}
        self._ids = []
        compared = self._found is not None and any(
            one[_PLANNED[0]] is not None for one in self._found.rows
        )
        for screw, said in self._lying():
            colours[len(rows), 1] = grade_colour(screw)
            letter = letter_of(screw, translated)
            rows.append([screw.id, letter, *(_cell(said[n]) for n in (*_COLUMNS, *_PLANNED))])
            self._ids.append(screw.id)
        tables.fill(ui.foundTable, rows, colours)
        for n in range(len(_PLANNED)):
            ui.foundTable.setColumnHidden(2 + len(_COLUMNS) + n, not compared)
        ui.foundTable.visible = bool(rows)
        self._askLevels(bool(rows))
        ui.foundLabel.text = self._said() if rows else ""

    def _lying(self):
        """Pairs of a screw that lies as it was found, and what was said of it then."""
        rows = () if self._found is None else self._found.rows
        said = {tuple(row[name] for name in _PLACE): row for row in rows}
        for screw in self._panel.planner.plan.screws:
            place = tuple(round(x, 2) for x in (*screw.entry, *screw.tip))
            if screw.sighting is not None and place in said:
                yield screw, said[place]

    def _askLevels(self, some):
        """Ask where the levels are a guess, as long as nobody named them."""
        planner = self._panel.planner
        guessed = some and self._found.levelsGuessed and planner.session.spine is self._found.spine
        self._ui.levelQuestionBox.visible = guessed
        if guessed:
            tables.choices(self._ui.topScrewCombo, LEVELS, planner.plan.screws[0].level)

    def _said(self):
        plan = self._panel.planner.plan
        ungraded = sum(screw.grade is None for screw in plan.screws)
        text = _("{screws} screws and {rods} rods were found.").format(
            screws=len(plan.screws), rods=len(plan.rods)
        )
        if plan.crosslinks or plan.cages:
            text += " " + _("Crosslinks: {links}, cages: {cages}.").format(
                links=len(plan.crosslinks), cages=len(plan.cages)
            )
        if ungraded:
            text += " " + _("{count} are not gradable: their rows say why.").format(count=ungraded)
        for words, names in (
            (_("Planned, not found: {names}."), self._found.notFound),
            (_("Found, not planned: {names}."), self._found.notPlanned),
        ):
            if names:
                text += " " + words.format(names=", ".join(names))
        return " ".join((text, *plan.warnings))

    def onCell(self, row, _column):
        """Choose the screw of a row."""
        if 0 <= row < len(self._ids):
            self._panel.planner.select(self._ids[row])


def _cell(value):
    return "" if value is None else f"{value:.1f}"
