"""The table of a result: each slice with metal, what was done in it, and why."""

import qt
from slicer.i18n import tr as _

from MetalArtifactReductionLib.nodes.compare import jumpTo
from MetalArtifactReductionLib.nodes.places import placeOf
from MetalArtifactReductionLib.nodes.results import slicesOf


class SliceTable:
    """Fills the table of a result; a click on a row shows its slice at the metal."""

    def __init__(self, table):
        self._table = table
        self._node = None
        self._slices = []
        headers = [_("Slice"), _("What was done"), _("Why")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setWordWrap(True)
        table.verticalHeader().setVisible(False)
        header = table.horizontalHeader()
        for column, mode in enumerate(("ResizeToContents", "ResizeToContents", "Stretch")):
            header.setSectionResizeMode(column, getattr(qt.QHeaderView, mode))
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.connect("cellClicked(int,int)", self.goTo)

    def setNode(self, node):
        """Show the slices of a corrected volume; of none for None."""
        self._node, self._slices = node, slicesOf(node)
        self._table.setRowCount(len(self._slices))
        for row, one in enumerate(self._slices):
            facts = _("Metal {width} mm wide; changed by {change} HU").format(
                width=f"{one.metalWidthMm:.1f}", change=f"{one.changeHu:.0f}"
            )
            for column, text in enumerate((str(one.index + 1), _doneText(one), one.reason)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(facts)
                self._table.setItem(row, column, item)

    def goTo(self, row, _column=0):
        """Show the slice of a row, in all views."""
        if 0 <= row < len(self._slices):
            place = placeOf(self._node, self._slices[row].index)
            jumpTo(self._node.GetScene(), place)


def _doneText(one):
    if not one.corrected:
        return _("▲ left as scanned")
    return _("{share} % corrected").format(share=round(100 * one.strength))
