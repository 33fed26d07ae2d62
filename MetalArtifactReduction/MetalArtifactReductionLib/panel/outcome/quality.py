"""The panel's part about quality: regions the user draws, measured before and after."""

import qt
import slicer
from slicer.i18n import tr as _

from MetalArtifactReductionLib.nodes import quality
from MetalArtifactReductionLib.nodes.results import INPUT_ROLE
from SpineMARLib.panel.fields import tell


class QualityPanel:
    """Fills the table whenever a region or the result changes."""

    def __init__(self, ui):
        self.ui = ui
        self.node = None
        self._observed = []
        table = ui.qualityTable
        headers = [_("Region"), _("Mean HU"), _("SD HU"), _("Streaks HU")]
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(headers)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        ui.addRegionButton.connect("clicked()", self.addRegion)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(100)  # a drag moves the region many times a second
        self._timer.connect("timeout()", self.refresh)
        self.setNode(None)

    def setNode(self, node):
        self.node = node
        self.ui.addRegionButton.enabled = node is not None
        tell(self.ui.qualityLabel, _("Correct a volume first.") if node is None else "")
        self.refresh()

    def addRegion(self):
        region = quality.addRegion(self.node.GetScene())
        self._observe(region)
        applicationLogic = slicer.app.applicationLogic()
        selection = applicationLogic.GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName(region.GetClassName())
        selection.SetActivePlaceNodeID(region.GetID())
        applicationLogic.GetInteractionNode().SwitchToSinglePlaceMode()

    def _observe(self, region):
        if all(region is not node for node, _tag in self._observed):
            # Not AnyEvent: measuring asks the node, which would start it again.
            for event in (region.PointModifiedEvent, region.PointPositionDefinedEvent):
                tag = region.AddObserver(event, lambda *_args: self._timer.start())
                self._observed.append((region, tag))

    def refresh(self):
        table = self.ui.qualityTable
        if self.node is None or self.node.GetScene() is None:
            table.setRowCount(0)
            return
        regions = quality.regions(self.node.GetScene())
        table.setRowCount(len(regions))
        before = self.node.GetNodeReference(INPUT_ROLE)
        for row, region in enumerate(regions):
            self._observe(region)
            pair = [quality.measure(node, region) for node in (before, self.node)]
            texts = [region.GetName()]
            for fact in ("meanHu", "sdHu", "streakHu"):
                values = ["-" if q is None else f"{getattr(q, fact):.0f}" for q in pair]
                texts.append(" → ".join(values))
            for column, text in enumerate(texts):
                table.setItem(row, column, qt.QTableWidgetItem(text))

    def close(self):
        self._timer.stop()
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed.clear()
        self.node = None
