"""The panel's part about metal: what counts as metal, shown, measured and warned about."""

from slicer.i18n import tr as _

from MetalArtifactReductionLib.choices.settings import MetalSource
from MetalArtifactReductionLib.nodes.preview import MetalPreview
from spinemar.errors import CancelledError
from SpineMARLib.panel.errors import sentence
from SpineMARLib.panel.fields import tell
from SpineMARLib.panel.jobwatch import JobWatch

BONE_LIMIT_MM3 = 100.0


class MetalPanel:
    """Shows the mask that a correction will take, found in the background where it is automatic.

    Parameters
    ----------
    ui : the panel's widgets
    scene : vtkMRMLScene
    find : callable
        Takes the input volume; starts a job whose result is `FoundMetal`.
    """

    def __init__(self, ui, scene, find):
        self.ui = ui
        self.preview = MetalPreview(scene)
        self._find = find
        self._watch = JobWatch(lambda run: None, self._onFound)
        self._parameters = None
        self._key = None  # of the volume that `_found` or `_problem` is about
        self._found = None
        self._problem = ""

    def update(self, parameters):
        """Show what the parameters say; None for none."""
        self._parameters = parameters
        volume = parameters.inputVolume if parameters is not None else None
        if volume is None or volume.GetImageData() is None:
            self.close()
            self._tell("", "")
            return
        key = (volume.GetID(), volume.GetImageData().GetMTime())
        if key != self._key:
            self._watch.close()
            self._key, self._found, self._problem = key, None, ""
        source = parameters.metalSource
        drawn = source in (MetalSource.segment, MetalSource.implants)
        shown = parameters.showPreview and not drawn
        wanted = source is MetalSource.threshold or (shown and source is MetalSource.automatic)
        if wanted and self._found is None and not self._problem and self._watch.run is None:
            self._watch.start(self._find(volume))
        self._show(volume, source, shown)

    def _show(self, volume, source, shown):
        threshold = self._parameters.metalThresholdHu
        if shown and source is MetalSource.threshold:
            self.preview.show(volume, threshold)
        elif shown and self._found is not None:
            self.preview.showMask(volume, self._found.metal, self._found.origin)
        else:
            self.preview.remove()
        automatic = shown and source is MetalSource.automatic
        warning = self._boneText(threshold) if source is MetalSource.threshold else ""
        self._tell(self._automaticText() if automatic else "", warning)

    def _automaticText(self):
        if self._problem:
            return self._problem
        if self._found is None:
            return _("Looking for metal...")
        volume = self._found.facts["metal_mm3"] / 1000
        if not volume:
            return _("No metal is found.")
        return _("{volume} cm³ count as metal.").format(volume=f"{volume:.1f}")

    def _boneText(self, threshold):
        """Warn of a threshold that takes what is no metal."""
        if self._found is None:
            return ""
        bone = self._found.elsewhereMm3(threshold)
        if bone <= BONE_LIMIT_MM3:
            return ""
        text = _("{hu} HU also takes {volume} cm³ away from the metal, most likely bone.").format(
            hu=f"{threshold:.0f}", volume=f"{bone / 1000:.1f}"
        )
        clean = self._found.cleanFromHu(BONE_LIMIT_MM3)
        if clean is None:
            return text
        return text + " " + _("From {hu} HU on it does not.").format(hu=f"{clean:.0f}")

    def _tell(self, preview, warning):
        tell(self.ui.previewLabel, preview)
        tell(self.ui.boneLabel, warning)

    def _onFound(self, run):
        if run.error is None:
            self._found = run.result
        elif not isinstance(run.error, CancelledError):
            self._problem = sentence(run.error)
        if self._parameters is not None:
            self.update(self._parameters)

    def hide(self):
        """Take the preview away, for as long as the module is left or a correction runs."""
        self._watch.close()
        self.preview.remove()

    def close(self):
        """Forget everything."""
        self.hide()
        self._key = self._found = None
        self._problem = ""
