"""Stand-in for the Sample Data module: keeps what is registered where Slicer keeps it.

It takes what both 5.10 and 5.12 take, and nothing else. As in Slicer only the button in the module
runs a custom downloader, in a slot (`Host.clickSample`); `downloadSamples` does not.
"""

from __future__ import annotations

from typing import Any

import slicer


class SampleDataSource:
    """One entry of the module."""

    def __init__(self, **facts: Any) -> None:
        if not isinstance(facts["uris"], str):
            raise TypeError("The stand-in knows entries with one address only.")
        self.__dict__.update(facts)


class SampleDataLogic:
    """Registers sample data."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: Any = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: Any = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = None,
        checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        source = SampleDataSource(
            sampleName=sampleName, uris=uris, fileNames=fileNames, nodeNames=nodeNames,
            customDownloader=customDownloader, thumbnailFileName=thumbnailFileName,
        )  # fmt: skip
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        slicer.modules.sampleDataSources.setdefault(category, []).append(source)

    def downloadSamples(self, sampleName: str) -> list[Any]:
        raise NotImplementedError("Slicer would download the entry's address here.")


def downloadSamples(sampleName: str) -> list[Any]:
    """Load all nodes of a sample."""
    return SampleDataLogic().downloadSamples(sampleName)


def downloadSample(sampleName: str) -> Any:
    """Load a sample and return its first node."""
    return downloadSamples(sampleName)[0]
