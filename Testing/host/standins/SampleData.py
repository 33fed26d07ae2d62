"""Stand-in for the Sample Data module: keeps what is registered, and loads it on request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

sources: dict[str, list[Any]] = {}


class SampleDataLogic:
    """Registers and loads sample data; only custom downloaders are supported."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: Any = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: Any = None,
        loadFileType: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = None,
        checksums: Any = None,
    ) -> None:
        """Take what Slicer's own takes, and nothing else."""
        facts = {
            "sampleName": sampleName, "uris": uris, "fileNames": fileNames,
            "nodeNames": nodeNames, "customDownloader": customDownloader,
            "thumbnailFileName": thumbnailFileName,
        }  # fmt: skip
        entries = sources.setdefault(category, [])
        entries[:] = [e for e in entries if e.sampleName != facts["sampleName"]]
        entries.append(SimpleNamespace(category=category, **facts))

    def downloadSamples(self, sampleName: str) -> list[Any]:
        for entries in sources.values():
            for source in entries:
                if source.sampleName == sampleName:
                    return source.customDownloader(source)
        raise ValueError(f"There is no sample called {sampleName}.")


def downloadSamples(sampleName: str) -> list[Any]:
    """Load all volumes of a sample."""
    return SampleDataLogic().downloadSamples(sampleName)


def downloadSample(sampleName: str) -> Any:
    """Load a sample and return its first volume."""
    return downloadSamples(sampleName)[0]
