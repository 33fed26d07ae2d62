"""One job at a time, looked at on every beat of a timer: its progress, and its end."""

import qt

BEAT_MS = 50


class JobWatch:
    """Watches a `JobRun`.

    Parameters
    ----------
    onProgress : callable
        Takes the run, on every beat while it is under way.
    onEnd : callable
        Takes the run when it has ended; by then `run` is None again.
    """

    def __init__(self, onProgress, onEnd):
        self.run = None
        self._onProgress, self._onEnd = onProgress, onEnd
        self._timer = qt.QTimer()
        self._timer.setInterval(BEAT_MS)
        self._timer.connect("timeout()", self.look)

    def start(self, run):
        """Begin to watch a run."""
        self.run = run
        self._timer.start()

    def look(self):
        """See how far the run is."""
        if self.run is None:
            return
        self.run.letWork(BEAT_MS / 1000)
        if self.run.running:
            try:
                self._onProgress(self.run)
            except Exception:
                self.close()  # else it would be told on every beat
                raise
            return
        run, self.run = self.run, None
        self._timer.stop()
        self._onEnd(run)

    def cancel(self):
        """Ask the run to stop; its end is told as any other."""
        if self.run is not None:
            self.run.cancel()

    def close(self):
        """End the run at once, without a word, for a scene or a program that closes."""
        self._timer.stop()
        if self.run is not None:
            run, self.run = self.run, None
            run.close()
