"""The store on disk: a Zarr v3 group, its shards, and the records that commit them.

    STORE/zarr.json              group; one array for each field of the store, a chunk a pair
    STORE/sinogram/c/12/0/0/0    a shard: the pairs of block 12, each chunk with its CRC-32C
    STORE/blocks/000012.json     block 12 is complete: its rows and the SHA-256 of its shards
    STORE/dataset.json           seed, settings, inputs: what fixes every byte
    STORE/pairs.jsonl            all rows, one a line
    STORE/splits.json            which patients, and so which pairs, are in which set
    STORE/README.md              the card
    STORE/SHA256SUMS             of the other files

A block is written by one worker: its shards first (elsewhere, then moved into place), its record
last. Without the record the shards do not count and are written again, to the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spinemar import __version__
from spinemar.base.atomic_files import atomic_path
from spinemar.base.extras import optional
from spinemar.base.files.zarr_arrays import check_zarr_array
from spinemar.base.json_records import build_record
from spinemar.base.json_text import read_json, read_text
from spinemar.dataset.pair_settings import N_SLICES, PairSettings
from spinemar.dataset.pairs.domains import (
    ALL_FIELDS,
    FIELDS,
    FRACTIONS,
    IN_HU,
    MASKS,
    SINOGRAMS,
    TRACES,
)
from spinemar.dataset.pairs.encoding import FRACTIONS_PER_UNIT, INTEGRALS_PER_UNIT
from spinemar.dataset.storage.conventions import store_attributes
from spinemar.errors import InputError
from spinemar.physics.materials import STORED_METALS

FORMAT = "spinemar-pairs"
VERSION = 7
"""Of what a pair is: another number, other pairs. Stores of earlier ones are read, not continued.

1: without `li_sinogram` and `metal_fraction`. 2: metal found on three slices, nothing drawn anew.
3: as 4, but for rounding (transforms of the implants alone, not of whole slices). 4: parts that
fill their voxels by less than half may be missed, and metal may lie outside the image. 5: without
cement, hooks and wires. 6: without screws into the ilium, tantalum in no cage and in no
`metal_fraction`.
"""
_SHARES_SINCE = {"cement_share": 6, "hooks_share": 6, "wires_share": 6, "pelvic_share": 7}
"""Settings of shares that stores of earlier versions had none of."""
_TANTALUM_SINCE = 7
_FIRST_FIELDS = tuple(name for name in FIELDS if name not in ("li_sinogram", "metal_fraction"))
"""What stores of version 1 hold."""
SPEC, TABLE, SPLITS = "dataset.json", "pairs.jsonl", "splits.json"
CARD, SUMS = "README.md", "SHA256SUMS"
BLOCKS, WORK = "blocks", ".work"
_ZSTD_LEVEL = 3
_MAX_SPEC_BYTES = 256 << 20
_MAX_RECORD_BYTES = 256 << 20


@dataclass(frozen=True)
class InputFact:
    """A CT as the store remembers it; the pair `first_pair` is the first that may show it."""

    name: str
    patient: str
    split: str | None
    source: str
    sha256: str
    first_pair: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; a CT that was there from the first pair on says nothing of it."""
        facts = asdict(self)
        if not self.first_pair:
            del facts["first_pair"]
        return facts


@dataclass(frozen=True)
class Spec:
    """What fixes every byte of a store, but for the number of pairs.

    Parameters
    ----------
    seed : int
    settings : PairSettings
    inputs : tuple of InputFact
        All of them; where CTs were added, a pair shows one of those with the highest `first_pair`
        up to its number.
    block_pairs : int
        Pairs of a shard.
    software_version : str
    fields : tuple of str
        Arrays that are kept, in the order of `domains.ALL_FIELDS`.
    version : int
        Of what a pair is, see `VERSION`.
    merged_from : tuple of dict
        The stores that a merged one was put together from: "store", "first_pair", "pairs" and
        "dataset", their own specification. Such a store is never continued.
    """

    seed: int
    settings: PairSettings
    inputs: tuple[InputFact, ...]
    block_pairs: int
    software_version: str = __version__
    fields: tuple[str, ...] = FIELDS
    version: int = VERSION
    merged_from: tuple[dict[str, Any], ...] = ()

    @property
    def first_pair(self) -> int:
        """Number of the first pair of the CTs that were added last; 0 where none were."""
        return max((item.first_pair for item in self.inputs), default=0)

    @property
    def newest(self) -> tuple[InputFact, ...]:
        """The CTs that further pairs are drawn from."""
        return tuple(item for item in self.inputs if item.first_pair == self.first_pair)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "format": FORMAT,
            "version": self.version,
            **({"fields": list(self.fields)} if self.version > 1 else {}),
            "seed": self.seed,
            "block_pairs": self.block_pairs,
            "software_version": self.software_version,
            "settings": self.settings.to_json(),
            "inputs": [item.to_json() for item in self.inputs],
            **({"merged_from": list(self.merged_from)} if self.merged_from else {}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Spec:
        """Read a JSON object.

        Raises
        ------
        InputError
            If it is of a later version.
        """
        version = int(values.get("version", 0))
        if values.get("format") != FORMAT or not 1 <= version <= VERSION:
            raise InputError(
                f"This is no store of training pairs of version {VERSION} or before.",
                "Make one with `spinemar dataset make`.",
            )
        return cls(
            int(values["seed"]),
            _settings(values["settings"], version),
            tuple(build_record(InputFact, item, "store's input") for item in values["inputs"]),
            int(values["block_pairs"]),
            str(values["software_version"]),
            chosen_fields(values["fields"]) if version > 1 else _FIRST_FIELDS,
            version,
            tuple(values.get("merged_from", ())),
        )


def _settings(values: Mapping[str, Any], version: int) -> PairSettings:
    """Read settings; what pairs of that version never held is in none of them."""
    absent = {name: 0.0 for name, since in _SHARES_SINCE.items() if version < since}
    return PairSettings.from_json({**values, **absent})


def chosen_fields(names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields of these names in the order of `domains.ALL_FIELDS`.

    Raises
    ------
    InputError
        If there is no such field, or none is named.
    """
    unknown = sorted(set(names) - set(ALL_FIELDS))
    if unknown or not names:
        raise InputError(
            f"Pairs have no {', '.join(unknown)}." if unknown else "No field is named.",
            f"They have {', '.join(ALL_FIELDS)}.",
        )
    return tuple(name for name in ALL_FIELDS if name in names)


def read_spec(store: Path) -> Spec:
    """Read the specification of a store.

    Raises
    ------
    InputError
        If the folder is no store, or its specification is damaged.
    """
    path = store / SPEC
    if not path.is_file():
        raise InputError(
            f"{store} is no store of training pairs.", "Make one with `spinemar dataset make`."
        )
    try:
        return Spec.from_json(read_json(path, f"file {path.name}", _MAX_SPEC_BYTES))
    except (AttributeError, OverflowError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}).", "Make the store again.") from error


def write_spec(store: Path, spec: Spec) -> None:
    """Write the specification of a store."""
    write_text(store / SPEC, json.dumps(spec.to_json(), indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file at once or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def stored_metals(version: int) -> tuple[str, ...]:
    """Return the metals that `metal_fraction` tells apart in stores of a version."""
    return tuple(m for m in STORED_METALS if m != "Ta" or version >= _TANTALUM_SINCE)


def array_shape(name: str, settings: PairSettings, version: int = VERSION) -> tuple[int, ...]:
    """Return the shape of one pair's array in stores of a version."""
    if name in (*SINOGRAMS, *TRACES):
        return N_SLICES, settings.n_views, settings.n_bins
    if name in FRACTIONS:
        return N_SLICES, len(stored_metals(version)), settings.matrix, settings.matrix
    return N_SLICES, settings.matrix, settings.matrix


def array_type(name: str) -> str:
    """Return the type of an array's numbers as they are stored."""
    if name in FRACTIONS:
        return "uint8"
    return "bool" if name in (*TRACES, *MASKS) else "int16"


def zarr_package() -> Any:
    """Load Zarr, which keeps the arrays of a store.

    Raises
    ------
    InputError
        If it is not installed.
    """
    with optional("A store of training pairs"):
        import zarr
    return zarr


def create_arrays(store: Path, spec: Spec, pairs: int) -> None:
    """Make the arrays of a new store, or give those of an old one another length."""
    zarr = zarr_package()
    from zarr.codecs import BloscCodec, Crc32cCodec

    group = zarr.open_group(store, mode="a", zarr_format=3)
    if not group.attrs:
        group.update_attributes(store_attributes(spec.settings, stored_metals(spec.version)))
    for name in spec.fields:
        shape = array_shape(name, spec.settings, spec.version)
        if name in group:
            array = group[name]
            if array.shape[0] != pairs:
                array.resize((pairs, *shape))
            continue
        kind = array_type(name)
        group.create_array(
            name,
            shape=(pairs, *shape),
            dtype=kind,
            chunks=(1, *shape),
            shards=(spec.block_pairs, *shape),
            compressors=[
                BloscCodec(cname="zstd", clevel=_ZSTD_LEVEL, shuffle="shuffle"),
                Crc32cCodec(),
            ],
            fill_value=False if kind == "bool" else 0,
            attributes=_attributes(name, spec.version),
        )


def read_arrays(store: Path, fields: Sequence[str]) -> Any:
    """Open the arrays of a store for reading, after a look at what their metadata ask for.

    Parameters
    ----------
    store : Path
    fields : sequence of str
        What will be read; metadata of others are not looked at.

    Returns
    -------
    zarr.Group

    Raises
    ------
    InputError
        If they are damaged, or of another kind than a store's.
    """
    zarr = zarr_package()
    read_json(store / "zarr.json", "group of arrays zarr.json")
    for name in fields:
        check_zarr_array(store / name)
    # What the group's file repeats of its arrays' metadata was not looked at.
    return zarr.open_group(store, mode="r", zarr_format=3, use_consolidated=False)


def _attributes(name: str, version: int) -> dict[str, Any]:
    if name in SINOGRAMS:
        return {"scale": 1.0 / INTEGRALS_PER_UNIT, "unit": "1", "axes": "pair slice view bin"}
    if name in TRACES:
        return {"axes": "pair slice view bin"}
    if name in FRACTIONS:
        return {
            "scale": 1.0 / FRACTIONS_PER_UNIT,
            "unit": "1",
            "axes": "pair slice metal row column",
            "metals": list(stored_metals(version)),
        }
    unit = {"unit": "HU"} if name in IN_HU else {}
    return {**unit, "axes": "pair slice row column"}


def shard_path(store: Path, name: str, block: int) -> Path:
    """Return the file of one array's shard."""
    within = ("0",) * (4 if name in FRACTIONS else 3)
    return store.joinpath(name, "c", str(block), *within)


def block_range(spec: Spec, block: int, pairs: int) -> range:
    """Return the numbers of a block's pairs."""
    first = block * spec.block_pairs
    return range(first, min(first + spec.block_pairs, pairs))


def block_count(spec: Spec, pairs: int) -> int:
    """Return the number of blocks that hold so many pairs."""
    return -(-pairs // spec.block_pairs)


@dataclass(frozen=True)
class BlockRecord:
    """The commitment of a block.

    Parameters
    ----------
    block : int
    rows : list of dict
        Of the sidecar table.
    sha256 : dict of str to str
        Of each shard, by array.
    """

    block: int
    rows: list[dict[str, Any]]
    sha256: dict[str, str]

    def to_text(self) -> str:
        """Return JSON text that carries its own digest."""
        body = {"block": self.block, "sha256": self.sha256, "rows": self.rows}
        text = json.dumps(body, separators=(",", ":"), sort_keys=True, allow_nan=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return json.dumps({"digest": digest}) + "\n" + text + "\n"


def record_path(store: Path, block: int) -> Path:
    """Return the file that commits a block."""
    return store / BLOCKS / f"{block:06d}.json"


def read_record(store: Path, block: int) -> BlockRecord | None:
    """Read a block's record; None where the block is not complete.

    Raises
    ------
    InputError
        If the record is there but damaged.
    """
    path = record_path(store, block)
    if not path.exists():
        return None
    try:
        head, text = read_text(path, f"record {path.name}", _MAX_RECORD_BYTES).splitlines()
        if json.loads(head)["digest"] != hashlib.sha256(text.encode()).hexdigest():
            raise ValueError("its digest does not fit")
        body = json.loads(text)
        record = BlockRecord(body["block"], body["rows"], body["sha256"])
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(
            f"The record {path.name} is damaged ({error}).",
            "Delete it and run `spinemar dataset make` again: it makes that block anew.",
        ) from error
    return record


def write_record(store: Path, record: BlockRecord) -> None:
    """Commit a block."""
    path = record_path(store, record.block)
    path.parent.mkdir(exist_ok=True)
    write_text(path, record.to_text())


def held_pairs(store: Path) -> int:
    """Return how many pairs a store has room for at least: one more than its highest number."""
    last = max((int(path.stem) for path in (store / BLOCKS).glob("[0-9]*.json")), default=None)
    record = None if last is None else read_record(store, last)
    return 0 if record is None else int(record.rows[-1]["index"]) + 1


def records(store: Path) -> Iterator[BlockRecord]:
    """Yield the records of complete blocks in order."""
    for path in sorted((store / BLOCKS).glob("[0-9]*.json")):
        record = read_record(store, int(path.stem))
        if record is not None:
            yield record
