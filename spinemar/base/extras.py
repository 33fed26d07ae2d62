"""Packages that a plain install leaves out: the extra that brings each, and what to say without.

``with optional("A Zarr store"): import zarr`` says what is missing where it is needed; `require`
says it before long work begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType

from spinemar.base.privacy import keep_matplotlib_out_of_home
from spinemar.errors import InputError

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "vtk": "mesh",
        "vtkmodules": "mesh",
        "zarr": "dataset",
        "h5py": "dataset",
        "dask": "dataset",
        "distributed": "dataset",
        "xraydb": "physics-tables",
        "spekpy": "physics-tables",
        "matplotlib": "figures",
        "torch": "training",
        "monai": "training",
        "lightning": "training",
        "tensorboard": "training",
        "onnx": "training",
        "onnxscript": "training",
        "yaml": "training",
        "psutil": "bench",
        "astra": "bench",
    }
)
"""Extra of pyproject.toml by the module that is imported."""

_PLAIN = frozenset(
    {"numpy", "scipy", "finufft", "skimage", "SimpleITK", "pydicom", "onnxruntime", "typer",
     "rich", "jinja2", "PIL"}
)  # fmt: skip


def missing_package(error: ImportError, what: str = "This") -> InputError | None:
    """Say which package is missing and how to get it.

    Parameters
    ----------
    error : ImportError
    what : str
        What needs it, as the beginning of a sentence.

    Returns
    -------
    InputError or None
        None where a module of ours is missing: no package brings that.
    """
    name = (error.name or "").split(".")[0]
    if not isinstance(error, ModuleNotFoundError):
        cause = str(error).splitlines()[0][:200] if str(error) else "ImportError"
        return InputError(
            f"{what} needs {f'the package {name}' if name else 'a package'}, which is installed "
            f"but cannot be loaded ({cause}).",
            "Install it again. Where the message names a library (.so), the system lacks that: VTK "
            "needs libgl1 and libxrender1 on Debian and Ubuntu.",
        )
    if name in EXTRAS:
        return InputError(
            f"{what} needs the package {name}, which a plain install leaves out.",
            f'Run: pip install "spinemar[{EXTRAS[name]}]"',
        )
    if name in _PLAIN:
        return InputError(
            f"{what} needs the package {name}, which is not installed.",
            "Install SpineMAR with what it needs: pip install spinemar",
        )
    return None


@contextmanager
def optional(what: str) -> Iterator[None]:
    """Turn imports of packages that may be missing into a sentence.

    Parameters
    ----------
    what : str
        What needs them, as the beginning of a sentence.

    Raises
    ------
    InputError
        If one is missing or cannot be loaded.
    """
    try:
        yield
    except ImportError as error:
        told = missing_package(error, what)
        if told is None:
            raise
        raise told from error


def require(what: str, *modules: str) -> None:
    """Refuse before long work begins, not after it, what a missing package would end.

    Raises
    ------
    InputError
        As `optional`.
    """
    if "matplotlib" in modules:
        keep_matplotlib_out_of_home()
    with optional(what):
        for module in modules:
            import_module(module)
