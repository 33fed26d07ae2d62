"""Words in the compare views: which volume it is, what was done in this slice, grey's scale."""

import textwrap

import slicer
import vtk
from slicer.i18n import tr as _

from MetalArtifactReductionLib.nodes.compare import compareComposites
from MetalArtifactReductionLib.nodes.places import sliceAt
from MetalArtifactReductionLib.nodes.results import DIFFERENCE_WINDOW_HU, INPUT_ROLE, slicesOf

_FONT_PX = 13
_LETTER_PX = 7.2  # wider than most letters of that font
_MARGIN_PX = 12


class ViewTexts:
    """Texts over the compare views; they follow the slices."""

    def __init__(self):
        self._props = []  # (renderer, actor)
        self._texts = {}  # (row, column) -> actor

    def show(self, pair):
        """Write over the views of a pair; None takes all texts away."""
        layoutManager = slicer.app.layoutManager()
        if pair is None or layoutManager is None:
            self.clear()
            return
        scene = pair.after.GetScene()
        for place, composite in compareComposites(scene).items():
            widget = layoutManager.sliceWidget(composite.GetLayoutName())
            if widget is None:
                continue
            if place not in self._texts:
                self._add(place, widget.sliceView())
            actor = self._texts[place]
            text = self._textOf(place[1], pair, widget.mrmlSliceNode(), place[0])
            text = _wrapped(text, widget.sliceView().renderWindow().GetSize()[0])
            if actor.GetInput() != text:
                actor.SetInput(text)
                widget.sliceView().scheduleRender()

    def clear(self):
        """Take all texts away."""
        for renderer, actor in self._props:
            renderer.RemoveViewProp(actor)
        self._props, self._texts = [], {}

    def _textOf(self, column, pair, sliceNode, row):
        if column == "Difference":
            return _("After less before\nwhite: brighter after; black: darker")
        volume = pair.before if column == "Before" else pair.after
        text = volume.GetName()
        if row == "Axial" and volume.GetNodeReference(INPUT_ROLE) is not None:
            text += "\n" + _sliceText(volume, sliceNode)
        return text

    def _add(self, place, view):
        renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
        actor = vtk.vtkTextActor()
        actor.SetTextScaleModeToNone()
        actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        actor.SetPosition(0.5, 0.985)
        style = actor.GetTextProperty()
        style.SetFontSize(_FONT_PX)
        style.SetJustificationToCentered()
        style.SetVerticalJustificationToTop()
        style.SetShadow(True)
        self._texts[place] = actor
        self._keep(renderer, actor)
        if place[1] == "Difference":
            self._keep(renderer, _scaleBar())

    def _keep(self, renderer, actor):
        renderer.AddViewProp(actor)
        self._props.append((renderer, actor))


def _wrapped(text, widthPx):
    """Break lines that are longer than a view is wide."""
    letters = max(8, int((widthPx - _MARGIN_PX) / _LETTER_PX))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def _sliceText(volume, sliceNode):
    """Say what was done in the slice that a view shows, and how wide its metal is."""
    matrix = sliceNode.GetSliceToRAS()
    index = sliceAt(volume, [matrix.GetElement(row, 3) for row in range(3)])
    facts = {one.index: one for one in slicesOf(volume)}.get(index)
    if facts is None:
        return _("Slice {number}: no metal, not touched").format(number=index + 1)
    done = (
        _("{share} % corrected").format(share=round(100 * facts.strength))
        if facts.corrected
        else _("left as scanned")
    )
    text = _("Slice {number}: {done}; metal {width} mm wide")
    return text.format(number=index + 1, done=done, width=f"{facts.metalWidthMm:.1f}")


def _scaleBar():
    """Return the scale of the difference: HU by grey."""
    half = DIFFERENCE_WINDOW_HU / 2
    table = vtk.vtkLookupTable()
    table.SetRange(-half, half)
    table.SetHueRange(0, 0)
    table.SetSaturationRange(0, 0)
    table.SetValueRange(0, 1)
    table.SetRampToLinear()
    table.Build()
    bar = vtk.vtkScalarBarActor()
    bar.SetLookupTable(table)
    bar.SetNumberOfLabels(5)
    bar.SetLabelFormat("%.0f")
    bar.SetTitle("HU")
    bar.UnconstrainedFontSizeOn()
    for style in (bar.GetLabelTextProperty(), bar.GetTitleTextProperty()):
        style.SetFontSize(_FONT_PX - 1)
        style.ItalicOff()
        style.BoldOff()
        style.SetShadow(True)
    bar.SetPosition(0.78, 0.1)
    bar.SetWidth(0.2)
    bar.SetBarRatio(0.25)
    bar.SetHeight(0.7)
    return bar
