"""Shards: what a model says about a range of items, as a set of Parquet files that stand for themselves.

A shard knows nothing of the shards before it (its positions count from 0), so that shards can be made in any order and
on any machine. Its files, all rows in order of position:

    items      one row an item: item, positions, shape, text, tags (JSON)
    tokens     one row a position: item, place, token_id, char_start, char_end, token
    labels     one row a position and field that applies: field, value, pos
    pictures   images only, one row an item: item, png
    grid       code and score of every (position, codebook, slot): dense, `positions x slots of all codebooks` rows
    runners    best code that was not chosen of every (position, codebook): runner_up, runner_up_score
    neurons    one row a neuron: site, neuron, values (float32 of every position, as bytes); first shards only

Each file is written whole or not at all. `manifest.json` lists the finished shards with the hash of every file.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.analysis.pixels import to_bytes
from backend.data.images.png import encode_png
from backend.errors import BuildError, ShardError
from backend.files import write_atomically
from backend.store.files import sha256
from backend.types import CodebookInfo, Encoded, Item

MANIFEST = "manifest.json"
NEURONS_PER_GROUP = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_ITEMS = pa.schema(
    [
        ("item", pa.int32()),
        ("positions", pa.int32()),
        ("shape", pa.list_(pa.int32())),
        ("text", pa.string()),
        ("tags", pa.string()),
    ]
)


@dataclass(frozen=True)
class ShardFile:
    """One file of a shard.

    Attributes:
        name: file name in the partial folder.
        sha256: hash of its bytes.
        size: its length in bytes.
    """

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Shard:
    """A finished shard, as the manifest lists it.

    Attributes:
        start, stop: its items, `start` included, `stop` not.
        positions: positions of its items together.
        activations: chosen codes, empty slots not counted.
        neuron_positions: its first positions, of which the neurons' activations are kept.
        fields: label fields in the order in which the items name them.
        replaced: characters that no file can hold (lone surrogates), stored as U+FFFD.
        files: table -> file.
    """

    start: int
    stop: int
    positions: int
    activations: int
    neuron_positions: int
    fields: tuple[str, ...]
    replaced: int
    files: Mapping[str, ShardFile]


@dataclass
class Manifest:
    """The state of a partial build; replaced on the disk as a whole whenever it changes.

    Attributes:
        key: hash of all that determines the build's content.
        plan: the item ranges of all shards.
        state: what the build last did, e.g. `encoding`, `failed`.
        reason: why it failed.
        shards: finished shards by their first item.
    """

    key: str
    plan: list[tuple[int, int]]
    state: str = "encoding"
    reason: str = ""
    shards: dict[int, Shard] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Replace the manifest on the disk."""
        data = dataclasses.asdict(self) | {"shards": [dataclasses.asdict(self.shards[s]) for s in sorted(self.shards)]}
        write_atomically(folder / MANIFEST, json.dumps(data, indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Return the manifest of a folder; None where there is none or it cannot be understood."""
        try:
            data = json.loads((folder / MANIFEST).read_bytes())
            shards = [
                Shard(**s | {"fields": tuple(s["fields"]), "files": {k: ShardFile(**f) for k, f in s["files"].items()}})
                for s in data["shards"]
            ]
            plan = [(int(start), int(stop)) for start, stop in data["plan"]]
            return cls(data["key"], plan, data["state"], data["reason"], {s.start: s for s in shards})
        except (OSError, ValueError, KeyError, TypeError):
            return None


@dataclass
class ShardBuilder:
    """Collects the batches of one shard and writes its files.

    Attributes:
        start, stop: the shard's items.
        codebooks: the model's codebooks, in their order.
        neuron_items: items with a smaller number have their neurons kept.
    """

    start: int
    stop: int
    codebooks: Sequence[CodebookInfo]
    neuron_items: int
    _items: list[Item] = field(default_factory=list)
    _pictures: list[np.ndarray] = field(default_factory=list)
    _codes: list[np.ndarray] = field(default_factory=list)
    _scores: list[np.ndarray] = field(default_factory=list)
    _runners: list[np.ndarray] = field(default_factory=list)
    _runner_scores: list[np.ndarray] = field(default_factory=list)
    _neurons: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, items: Sequence[Item], encoded: Encoded) -> None:
        """Take one batch: items in order, and what the model says about them.

        Raises:
            BuildError: the model's answer does not fit its own description.
        """
        positions = sum(item.positions for item in items)
        codes, scores, runners, runner_scores = check_encoded(encoded, self.codebooks, positions)
        for item in items:
            if is_picture(item):  # kept in a quarter of the room
                self._pictures.append(to_bytes(item.payload))
                item = dataclasses.replace(item, payload=np.empty(0))
            self._items.append(item)
        self._codes.append(codes)
        self._scores.append(scores)
        self._runners.append(runners)
        self._runner_scores.append(runner_scores)
        with_neurons = sum(item.positions for item in items if item.index < self.neuron_items)
        if with_neurons:
            for site, values in encoded.neurons.items():
                self._neurons.setdefault(site, []).append(
                    np.asarray(values[:with_neurons], np.float32).T
                )  # [neuron, position]

    def write(self, folder: Path) -> Shard:
        """Write the files and return the manifest's entry. Called once, when all batches are in."""
        codes = np.concatenate(self._codes)  # [position, slot of any codebook]
        positions = len(codes)
        token_table, item_table, replaced = _token_tables(self._items)
        label_table, fields = _label_table(self._items)
        tables = {
            "items": item_table,
            "tokens": token_table,
            "labels": label_table,
            "grid": pa.table({"code": codes.ravel(), "score": np.concatenate(self._scores).ravel()}),
            "runners": pa.table(
                {
                    "runner_up": np.concatenate(self._runners).ravel(),
                    "runner_up_score": np.concatenate(self._runner_scores).ravel(),
                }
            ),
        }
        if self._pictures:
            tables["pictures"] = pa.table(
                {
                    "item": pa.array([item.index for item in self._items], pa.int32()),
                    "png": pa.array([encode_png(picture) for picture in self._pictures], pa.binary()),
                }
            )
        neuron_positions = 0
        if self._neurons:
            tables["neurons"], neuron_positions = _neuron_table(self._neurons)
        files = {
            name: _write_table(folder / f"shard-{self.start:07d}.{name}.parquet", table)
            for name, table in tables.items()
        }
        activations = int(np.count_nonzero(codes >= 0))
        return Shard(self.start, self.stop, positions, activations, neuron_positions, fields, replaced, files)


def is_picture(item: Item) -> bool:
    """Return whether an item's payload is pixels."""
    return item.payload.ndim == 3


def check_encoded(
    encoded: Encoded, codebooks: Sequence[CodebookInfo], positions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Put the grids of all codebooks side by side.

    Returns:
        codes int32 and scores float32 `[P, slots of all codebooks]`, runner-up codes int32 and their scores float32
        `[P, codebooks]`.

    Raises:
        BuildError: a grid is missing, has the wrong shape, or an id out of range.
    """
    for info in codebooks:
        grid = encoded.grids.get(info.site)
        if grid is None or grid.codes.shape != (positions, info.slots) or grid.scores.shape != grid.codes.shape:
            shape = None if grid is None else (grid.codes.shape, grid.scores.shape)
            raise BuildError(
                f"The model's answer for codebook {info.site!r} has the shapes {shape} instead of "
                f"{(positions, info.slots)} twice. Its family does not keep its contract; mend it."
            )
        if positions and not (-1 <= grid.codes.min() and grid.codes.max() < info.num_codes):
            raise BuildError(
                f"Codebook {info.site!r} has {info.num_codes} codes, but the model chose ids from {grid.codes.min()} "
                f"to {grid.codes.max()}. Its family does not keep its contract; mend it."
            )
    if not codebooks:
        ids, scores = np.zeros((positions, 0), np.int32), np.zeros((positions, 0), np.float32)
        return ids, scores, ids, scores
    grids = [encoded.grids[info.site] for info in codebooks]
    return (
        np.concatenate([g.codes for g in grids], axis=1, dtype=np.int32),
        np.concatenate([g.scores for g in grids], axis=1, dtype=np.float32),
        np.stack([g.runner_up for g in grids], axis=1).astype(np.int32, copy=False),
        np.stack([g.runner_up_score for g in grids], axis=1).astype(np.float32, copy=False),
    )


def storable(text: str) -> tuple[str, int]:
    """Return the text as files can hold it, of the same length, and how many characters (lone surrogates) were replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.subn("\ufffd", text)
    return text, 0


def _token_tables(items: Sequence[Item]) -> tuple[pa.Table, pa.Table, int]:
    texts, tokens, replaced = [], [], 0
    spans = np.concatenate(
        [np.zeros((item.positions, 2), np.int64) if item.spans is None else item.spans for item in items]
    )
    ends = np.cumsum([item.positions for item in items])
    if len(spans) != ends[-1]:
        raise BuildError("An item's token spans are not one per position. Its data set is broken; mend it.")
    ids = [item.payload if item.payload.shape == (item.positions,) else np.full(item.positions, -1) for item in items]
    for item, end in zip(items, ends.tolist(), strict=True):
        text, count = storable(item.text)
        replaced += count
        texts.append(text)
        if text:
            tokens += [text[a:b] for a, b in spans[end - item.positions : end].tolist()]
        else:
            tokens += [""] * item.positions
    token_table = pa.table(
        {
            "item": np.repeat([item.index for item in items], [item.positions for item in items]).astype(np.int32),
            "place": np.concatenate([np.arange(item.positions, dtype=np.int32) for item in items]),
            "token_id": np.concatenate(ids).astype(np.int32),
            "char_start": spans[:, 0].astype(np.int32),
            "char_end": spans[:, 1].astype(np.int32),
            "token": pa.array(tokens, pa.string()),
        }
    )
    rows = {
        "item": [item.index for item in items],
        "positions": [item.positions for item in items],
        "shape": [list(item.shape) for item in items],
        "text": texts,
        "tags": [json.dumps(dict(item.tags), sort_keys=True) for item in items],
    }
    return token_table, pa.table(rows, schema=_ITEMS), replaced


def _label_table(items: Sequence[Item]) -> tuple[pa.Table, tuple[str, ...]]:
    fields = tuple(dict.fromkeys(chain.from_iterable(item.labels for item in items)))
    schema = pa.schema([("field", pa.string()), ("value", pa.string()), ("pos", pa.int64())])
    tables = [schema.empty_table()]
    for name in fields:
        values: list[str] = []
        for item in items:
            values += item.labels.get(name) or [""] * item.positions
        try:
            column = pa.array(values, pa.string())
        except (UnicodeEncodeError, pa.ArrowInvalid):
            column = pa.array([storable(value)[0] for value in values], pa.string())
        if len(column) != sum(item.positions for item in items):
            raise BuildError(f"The labels {name!r} are not one per position. The data set is broken; mend it.")
        table = pa.table({"value": column, "pos": np.arange(len(column))}).filter(pc.not_equal(column, ""))
        tables.append(table.add_column(0, "field", pa.repeat(name, len(table))))
    return pa.concat_tables(tables), fields


def _neuron_table(neurons: Mapping[str, Sequence[np.ndarray]]) -> tuple[pa.Table, int]:
    sites: list[str] = []
    numbers: list[int] = []
    blobs, positions = [], 0
    for site, parts in neurons.items():
        values = np.concatenate(parts, axis=1)  # [neuron, position]
        positions = values.shape[1]
        sites += [site] * len(values)
        numbers += range(len(values))
        blobs += [row.tobytes() for row in values]
    columns: dict[str, Any] = {"site": sites, "neuron": pa.array(numbers, pa.int32())}
    return pa.table(columns | {"values": pa.array(blobs, pa.binary())}), positions


def _write_table(path: Path, table: pa.Table) -> ShardFile:
    buffer = pa.BufferOutputStream()
    numeric = "grid" in path.name or "runners" in path.name
    blobs = [name for name in ("values", "png") if name in table.column_names]
    pq.write_table(
        table,
        buffer,
        row_group_size=NEURONS_PER_GROUP if "values" in table.column_names else None,
        compression="none" if numeric or blobs else "lz4",
        use_dictionary=not numeric and [c for c in table.column_names if c not in ("text", "pos", *blobs)],
        write_statistics=False,
    )
    data = memoryview(buffer.getvalue())
    write_atomically(path, data)
    return ShardFile(path.name, sha256(data), len(data))


def is_whole(shard: Shard, folder: Path) -> bool:
    """Return whether all files of a shard are there and match their hashes."""
    try:
        return all(sha256((folder / file.name).read_bytes()) == file.sha256 for file in shard.files.values())
    except OSError:
        return False


def read_table(shard: Shard, table: str, folder: Path) -> pa.Table:
    """Read one file of a shard, comparing it with its hash.

    Raises:
        ShardError: it is missing, was changed, or is not Parquet.
    """
    return pq.read_table(_open(shard, table, folder))


def open_neurons(shard: Shard, folder: Path) -> pq.ParquetFile:
    """Open a shard's neurons, to be read in groups of `NEURONS_PER_GROUP` neurons; raises as `read_table`."""
    _open(shard, "neurons", folder)
    return pq.ParquetFile(folder / shard.files["neurons"].name)


def _open(shard: Shard, table: str, folder: Path) -> io.BytesIO:
    file = shard.files[table]
    try:
        data = (folder / file.name).read_bytes()
    except OSError as error:
        reason = str(error)
    else:
        if sha256(data) == file.sha256:
            return io.BytesIO(data)
        reason = f"its {len(data)} bytes do not match the hash in {MANIFEST}"
    raise ShardError(
        f"Shard {file.name} (items {shard.start} to {shard.stop - 1}) cannot be used: {reason}. "
        f"Run the build again: it makes this shard anew and keeps the others."
    )
