"""What the eye is told by the planner's views: pixels of grades, names, sides, collisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from Testing.gui.plannerpanel import chip, click, finish, openPanel, press, select, sliceView

pytestmark = pytest.mark.gui

VIEWS = ("Red", "Yellow", "Green")


@pytest.fixture
def panel(host):
    opened = openPanel(host)
    for name in VIEWS:
        host.layoutManager.sliceWidget(name).mrmlSliceCompositeNode().SetBackgroundVolumeID(None)
    host.process(0.1)
    return opened


def pixels(view):
    """Return what a view shows now; nothing is rendered for it."""
    from PySide6.QtGui import QImage

    image = view.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)
    return flat[:, : image.width(), 2::-1].astype(int)


def coloured(picture, colour):
    """Count the pixels of a colour."""
    return int((np.abs(picture - np.array(colour) * 255).max(axis=-1) < 3).sum())


def letters_seen(host):
    """Return the letters whose colour is in the slice views, with their pixels in the red one."""
    from spinemar.planning.report.colours import GRADE_COLOURS

    host.process(0.1)
    pictures = {name: pixels(sliceView(host, name)) for name in VIEWS}
    found = {
        letter: sum(coloured(p, colour) for p in pictures.values())
        for letter, colour in GRADE_COLOURS.items()
    }
    red = {x: coloured(pictures["Red"], colour) for x, colour in GRADE_COLOURS.items()}
    return {letter for letter, count in found.items() if count > 8}, red


def moved_medially(panel, millimetres):
    """Type other numbers for the right screw of L1, as one hand does, one after the other."""
    for end in ("entryR", "tipR"):
        spin = getattr(panel.ui, end)
        spin.value = spin.value - millimetres


def look_at(host, panel):
    screw = panel.planner.plan.screw("L1-right")
    middle = (np.array(screw.entry) + screw.tip) / 2
    for name in VIEWS:
        sliceView(host, name).mrmlSliceNode().JumpSliceByCentering(*middle)
    host.process(0.1)


def test_slices_tell_the_grade_after_every_command(host, panel, tmp_path):
    """Row 1: whatever changes the plan, the outlines have the colours of the table."""
    import slicer
    from PySide6.QtCore import Qt

    control = Qt.KeyboardModifier.ControlModifier
    select(host, panel, "L1-right")
    look_at(host, panel)

    def tells(what, wanted):
        """Compare table and slices; the views are not touched."""
        letters = {chip(panel, name)[0] for name in panel.screws._ids}
        seen, red = letters_seen(host)
        assert chip(panel, "L1-right")[0] == wanted, what
        assert seen <= letters, (what, seen, letters)
        assert red[wanted] > 40, (what, red)

    tells("opened", "A")
    moved_medially(panel, 9.0)
    tells("typed numbers", "E")
    click(panel.ui.undoButton)
    click(panel.ui.undoButton)
    tells("undo", "A")
    click(panel.ui.redoButton)
    click(panel.ui.redoButton)
    tells("redo", "E")
    panel.ui.checkStep.collapsed = False
    click(panel.ui.checkButton)
    tells("check", "E")
    press(host, Qt.Key.Key_Z, control)
    press(host, Qt.Key.Key_Z, control)
    tells("check and undo", "A")
    press(host, Qt.Key.Key_BracketLeft)
    tells("thinner", "A")
    moved_medially(panel, 9.0)
    click(panel.ui.lockButton)
    tells("lock", "E")
    click(panel.ui.lockButton)
    select(host, panel, "L1-left")
    click(panel.ui.mirrorButton)
    look_at(host, panel)
    tells("mirror", "A")
    select(host, panel, "L1-right")
    click(panel.ui.deleteButton)
    click(panel.ui.undoButton)
    tells("delete and undo", "A")
    moved_medially(panel, 9.0)
    plan = panel.planner.plan
    panel.planner.loadPlan(replace(plan, screws=()))
    assert letters_seen(host)[0] == set()
    panel.planner.loadPlan(plan)
    tells("another plan", "E")
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.scene.Clear(0)
    assert letters_seen(host)[0] == set()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    host.process(0.1)
    for name in VIEWS:
        host.layoutManager.sliceWidget(name).mrmlSliceCompositeNode().SetBackgroundVolumeID(None)
    tells("scene loaded", "E")


@pytest.mark.parametrize("place", ["entry", "middle"])
def test_what_goes_or_comes_leaves_the_views_as_if_drawn_anew(host, panel, place):
    """Row 1: outline, points and shaft of a deleted screw are gone at once, and back by undo."""
    select(host, panel, "L1-right")
    look_at(host, panel)
    screw = panel.planner.selectedScrew()
    if place == "entry":
        for name in VIEWS:
            sliceView(host, name).mrmlSliceNode().JumpSliceByCentering(*screw.entry)

    def pictures():
        host.process(0.2)
        return {name: pixels(sliceView(host, name)) for name in VIEWS}

    before = pictures()
    for button in (panel.ui.deleteButton, panel.ui.undoButton):
        click(button)
        now = pictures()
        assert any(np.abs(now[name] - before[name]).max() > 60 for name in VIEWS)
        for name in VIEWS:
            sliceView(host, name).mrmlSliceNode().Modified()
        for name, anew in pictures().items():
            assert (np.abs(now[name] - anew).max(axis=-1) > 30).sum() < 5, (name, button.text)
        before = now


def test_the_worst_grades_and_collisions_are_told_by_more_than_a_colour(host, panel):
    """Row 10: E is thicker than A; what touches has dark edges in 3-D, and its name says so."""
    select(host, panel, "L1-right")
    look_at(host, panel)
    before = letters_seen(host)[1]["A"]
    alone = before / max(sum(s.level == "L1" for s in panel.planner.plan.screws), 1)
    moved_medially(panel, 9.0)
    look_at(host, panel)
    assert letters_seen(host)[1]["E"] > 1.5 * alone
    view = host.layoutManager.threeDWidget(0).threeDView()
    screw = panel.planner.plan.screw("L1-right")
    camera = view.cameraNode()
    camera.SetFocalPoint(*screw.entry)
    camera.SetPosition(*(np.array(screw.entry) - (0, 160, 0)))
    camera.SetViewUp(0, 0, 1)
    panel.planner.spineNode.GetDisplayNode().SetVisibility(False)
    host.process(0.2)
    plain = pixels(view)
    panel.planner.nodes.mark(panel.planner.plan, {"L1-right"})
    host.process(0.2)
    marked = pixels(view)
    # Luminance alone, as the colour-blind see it.
    darker = (plain.mean(axis=-1) - marked.mean(axis=-1)) > 60
    assert darker.sum() > 400
    assert "touches" in panel.planner.headLabel(screw)
    panel.planner.undo()
    assert "touches" not in panel.planner.headLabel(panel.planner.plan.screw("L1-right"))


def white(picture):
    return (picture.min(axis=-1) > 240) & (np.ptp(picture, axis=-1) < 6)


def test_names_stand_at_the_heads(host, panel):
    """Row 10: in slices beside what the slice cuts of the head, in 3-D at the tulips."""
    select(host, panel, "L1-right")
    screw = panel.planner.plan.screw("L1-right")
    view = sliceView(host, "Red")
    view.mrmlSliceNode().JumpSliceByCentering(*screw.entry)
    host.process(0.1)
    x, y, _ = view.convertRASToXYZ(screw.entry)
    picture = pixels(view)
    row = picture.shape[0] - 1 - round(y)
    beside = white(picture)[row - 26 : row, round(x) + 6 : round(x) + 90]
    assert beside.sum() > 40
    assert panel.planner.headLabel(screw) == "L1 R · A"
    view.mrmlSliceNode().JumpSliceByCentering(*screw.entry[:2], screw.entry[2] + 60.0)
    host.process(0.1)
    assert not any("L1" in text for text in written(panel, "Red"))
    moved_medially(panel, 9.0)
    view.mrmlSliceNode().JumpSliceByCentering(*screw.entry)
    host.process(0.1)
    assert "L1 R · E" in written(panel, "Red")


def written(panel, name):
    return [a.GetInput() for a in panel.views._captions._views[name]._texts.values()]


def test_names_in_3d_follow_and_go(host, panel):
    view = host.layoutManager.threeDWidget(0).threeDView()
    screw = panel.planner.plan.screw("L1-right")
    camera = view.cameraNode()
    camera.SetFocalPoint(*screw.entry)
    camera.SetPosition(*(np.array(screw.entry) - (0, 220, 0)))
    camera.SetViewUp(0, 0, 1)
    host.process(0.2)
    dark = (pixels(view).max(axis=-1) < 60).sum()
    panel.planner.nodes.release()
    host.process(0.2)
    assert dark > (pixels(view).max(axis=-1) < 60).sum() + 60


@pytest.mark.parametrize("side", ["left", "right"])
def test_probe_views_are_radiological_lettered_and_say_what_they_cut(host, panel, side):
    """Row 3: a bright half of the CT lies where its letter stands; the bar is 10 mm long."""
    import slicer

    select(host, panel, f"L1-{side}")
    click(panel.ui.probeButton)
    panel.ui.depthSlider.value = 18
    host.process(0.1)
    assert panel.views._captions.headers() == {
        "Red": f"L1 {side[0].upper()}, across, 18 mm from entry",
        "Yellow": f"L1 {side[0].upper()}, along, sagittal",
        "Green": f"L1 {side[0].upper()}, along, axial",
    }
    wanted = {"Red": "RLSI", "Yellow": "APSI", "Green": "RLAP"}
    screw = panel.planner.selectedScrew()
    centre = (np.array(screw.entry) + screw.tip) / 2
    for name, letters in wanted.items():
        texts = panel.views._captions._views[name]._texts
        found = [texts[edge].GetInput()[0] for edge in ("left", "right", "top", "bottom")]
        assert "".join(found) == letters, name
    for name in VIEWS:
        composite = host.layoutManager.sliceWidget(name).mrmlSliceCompositeNode()
        composite.SetBackgroundVolumeID(host.volume.GetID())
    array = slicer.util.arrayFromVolume(host.volume)
    matrix = np.array(slicer.util.arrayFromVTKMatrix(_ijk_to_ras(host.volume)))
    ijk = np.indices(array.shape)[::-1].reshape(3, -1)
    ras = (matrix[:3, :3] @ ijk + matrix[:3, 3:]).T - centre
    directions = {"R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1)}
    for letter, direction in directions.items():
        array[:] = np.where(ras @ np.array(direction) > 0, 900, -900).reshape(array.shape)
        slicer.util.arrayFromVolumeModified(host.volume)
        host.volume.GetDisplayNode().SetAutoWindowLevel(False)
        host.volume.GetDisplayNode().SetWindowLevel(2000, 0)
        host.process(0.2)
        for name, letters in wanted.items():
            if letter in letters:
                picture = pixels(sliceView(host, name)).mean(axis=-1)
                rows, columns = picture.shape
                left = np.median(picture[rows // 4 : rows // 3, 30 : columns // 3])
                right = np.median(picture[rows // 4 : rows // 3, -columns // 3 : -30])
                top = np.median(picture[rows // 8 : rows // 4, columns // 4 : columns // 3])
                bottom = np.median(picture[-rows // 4 : -rows // 8, columns // 4 : columns // 3])
                seen = {0: left - right, 2: top - bottom}[letters.index(letter)]
                assert seen > 40, (name, letter)
    view = sliceView(host, "Red")
    picture = pixels(view)
    bar = max(_longest(white(picture)[-row]) for row in range(2, 14))
    node = view.mrmlSliceNode()
    assert bar == pytest.approx(10 * picture.shape[1] / node.GetFieldOfView()[0], abs=1.5)
    click(panel.ui.standardButton)
    assert panel.views._captions.headers() == {}


def _ijk_to_ras(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def _longest(row):
    """Return the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def test_the_canal_comes_first_and_exporting_asks_once(host, panel, tmp_path):
    """Row 5: chip, row, check list, summary; one question, No keeps everything unwritten."""
    import qt

    ui = panel.ui
    ui.checkStep.collapsed = ui.exportStep.collapsed = False
    ui.exportPath.currentPath = str(tmp_path)
    ui.reportCheckBox.checked = False
    click(ui.exportButton)
    assert host.messages == []  # nothing to ask about
    select(host, panel, "L1-right")
    moved_medially(panel, 9.0)
    host.process(0.1)
    text = chip(panel, "L1-right")
    assert text.startswith("E: ")
    assert text.endswith("mm in the canal, medial")
    assert text in ui.selectedLabel.text
    assert ui.summaryLabel.text.index(text) < ui.summaryLabel.text.index("4 screws")
    click(ui.checkButton)
    assert ui.collisionTable.item(0, 0).text() == f"L1 R · {text}"
    before = sorted(tmp_path.iterdir())
    host.answer = lambda message: qt.QMessageBox.No
    click(ui.exportButton)
    assert text in host.messages[-1].text
    assert sorted(tmp_path.iterdir()) == before
    host.answer = lambda message: qt.QMessageBox.Yes
    click(ui.exportButton)
    assert len(host.messages) == 2
    assert len(sorted(tmp_path.iterdir())) == len(before) + 1
    click(ui.exportButton)
    assert len(host.messages) == 2  # asked once
    moved_medially(panel, 0.5)
    click(ui.exportButton)
    assert len(host.messages) == 3  # another plan


def test_a_screw_without_a_grade_in_the_canal_comes_first_too(host, panel, tmp_path):
    """Row 5: nobody can grade it, but where it runs is known."""
    import qt

    ui, planner = panel.ui, panel.planner
    ui.checkStep.collapsed = ui.exportStep.collapsed = False
    ui.exportPath.currentPath = str(tmp_path)
    ui.reportCheckBox.checked = False
    spine = planner.session.spine
    doubted = tuple(replace(f, level_doubt="By its ribs this is T12.") for f in spine.vertebrae)
    planner.useSpine(replace(spine, vertebrae=doubted))
    select(host, panel, "L1-right")
    look_at(host, panel)
    assert chip(panel, "L1-right") == "not graded"
    click(ui.exportButton)
    assert host.messages == []  # nothing to ask about
    moved_medially(panel, 9.0)
    look_at(host, panel)
    text = chip(panel, "L1-right")
    assert text.startswith("not graded: ")
    assert text.endswith("mm in the canal, medial")
    assert letters_seen(host)[1]["E"] > 40  # red in the slices
    assert f"{text}. By its ribs this is T12." in ui.selectedLabel.text
    assert ui.summaryLabel.text.index(text) < ui.summaryLabel.text.index("4 screws")
    click(ui.checkButton)
    assert ui.collisionTable.item(0, 0).text() == f"L1 R · {text}"
    assert "L1 R · not graded, in the canal" in written(panel, "Red")
    before = sorted(tmp_path.iterdir())
    host.answer = lambda message: qt.QMessageBox.No
    click(ui.exportButton)
    assert text in host.messages[-1].text
    assert sorted(tmp_path.iterdir()) == before


def test_chips_are_read_and_vertebrae_are_grey(host, panel):
    """Row 10: the cell's ink has the contrast; outlines of vertebrae have no colour."""
    from spinemar.planning.report.colours import contrast

    select(host, panel, "L1-right")
    for shift in (0.0, 3.0, 2.0, 3.0):
        moved_medially(panel, shift)
        item = panel.ui.screwTable.item(panel.screws._ids.index("L1-right"), 1)
        ink, paper = (
            tuple(c / 255 for c in brush.color().getRgb()[:3])
            for brush in (item.foreground(), item.background())
        )
        assert contrast(ink, paper) >= 4.5
    segmentation = panel.planner.spineNode.GetSegmentation()
    for n in range(segmentation.GetNumberOfSegments()):
        colour = segmentation.GetNthSegment(n).GetColor()
        assert np.ptp(colour) < 0.02


def test_a_level_that_nothing_confirms_stands_beside_every_letter(host, panel):
    """In rows, at heads, in slices and in the summary, until somebody states the names."""
    from spinemar.spine.labels.levels import UNCONFIRMED_LEVELS

    planner, ui = panel.planner, panel.ui
    plan, spine = planner.plan, planner.session.spine
    frames = tuple(replace(f, warnings=(UNCONFIRMED_LEVELS,)) for f in spine.vertebrae)
    panel.parameters.segmentation = planner.useSpine(replace(spine, vertebrae=frames))
    planner.loadPlan(plan)
    panel.fillLevels()
    host.process(0.1)
    names = [screw.id for screw in plan.screws]
    assert all(chip(panel, name)[1:].startswith(" (level not confirmed)") for name in names)
    told = ui.summaryLabel.text.split("Grades: ")[1].split("<br>")[0]
    assert sum(int(part.split()[0]) for part in told.split(", ")) == len(names)
    assert all(" of unconfirmed level" in part for part in told.split(", "))
    select(host, panel, names[0])
    assert "(level not confirmed)" in ui.selectedLabel.text
    heads = planner.scene.GetFirstNodeByName("Names of screws")
    assert all(", level?" in heads.GetNthControlPointLabel(n) for n in range(len(names)))
    in_slices = [text for view in panel.views._captions._views.values() for _, text in view.named]
    assert in_slices
    assert all(", level?" in text for text in in_slices)
    # Stated by the user: the same letters, without the doubt.
    letters = [screw.grade.letter for screw in planner.plan.screws]
    ui.spineTable.setCurrentCell(0, 0)
    panel.spine.onCell(0, 0)
    click(ui.relabelButton)
    finish(host, panel)
    assert [chip(panel, name)[0] for name in names] == letters
    assert "not confirmed" not in "".join(chip(panel, name) for name in names)
    assert "unconfirmed" not in ui.summaryLabel.text
    assert all("level?" not in heads.GetNthControlPointLabel(n) for n in range(len(names)))
