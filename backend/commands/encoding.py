"""Code ids of a person's own input: `encode`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.cli import (
    EDITS,
    Answer,
    Command,
    Progress,
    add_edit,
    add_model,
    edits_of_given,
    existing_file,
    given_path,
    new_file,
    positive,
    table,
)
from backend.commands.pictures import encode_pictures
from backend.files import replacing

if TYPE_CHECKING:
    from backend.types import Encoded, Item


def _encode_options(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--tokens", metavar="FILE.npy", help="token ids, int64 [item, position]")
    group.add_argument("--text", metavar="FILE", help="one item a line, read as the model's data set writes it")
    group.add_argument(
        "--images",
        type=given_path,
        nargs="+",
        metavar="PATH",
        help="image files, folders, or float32 [n, 3, height, width] (.npy)",
    )
    parser.add_argument(
        "--size", type=positive, default=0, metavar="PIXELS", help="a side of the pictures of files (as trained)"
    )
    add_edit(parser, required=False)
    parser.add_argument("--out", required=True, metavar="FILE.npz", help="where codes, scores and logits go")


def _encode(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend import catalog
    from backend.edits.codes import check_positions
    from backend.errors import BadInput, Unsupported
    from backend.families import open_family

    edits = edits_of_given(options.edit)
    out = new_file(options.out)
    read_from = [*(options.images or ()), *filter(None, (options.text, options.tokens))]
    if out.exists() and any(Path(name).exists() and out.samefile(name) for name in read_from):
        raise BadInput(f"--out {options.out} is what is to be read. Give another file.")
    family = open_family(catalog.find(options.model, options.data_dir), options.data_dir)
    wanted, what = ("decode", "pictures") if options.images else ("logits", "text")
    if wanted not in family.capabilities:
        raise Unsupported(f"{options.model} reads no {what}, so it cannot encode {'it' if what == 'text' else 'them'}.")
    if options.images:
        arrays, warnings = encode_pictures(family, options.images, options.size, edits, progress)
        items, positions = len(arrays["reconstruction"]), _cells(arrays)
    else:
        read = _from_tokens(options.tokens, family) if options.tokens else _from_text(options.text, family)
        longest = max(item.positions for item in read) if read else 0
        check_positions(edits, longest, "tokens in a text")
        size = 4 * len(read) * longest * family.vocabulary / 1e6
        progress(f"the logits of {len(read):,} items take {size:,.1f} MB, and are written too", 0, 0)
        progress(f"encoding {len(read)} items", 0, 1)
        arrays, warnings = _arrays(family.encode(read, edits, logits=True), read), []
        progress(f"encoding {len(read)} items", 1, 1)
        items, positions = len(read), sum(item.positions for item in read)
    with replacing(out) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    data = {"model": options.model, "items": items, "positions": positions, "out": str(out), "arrays": shapes}
    rows = [[name, " x ".join(map(str, shape)), str(arrays[name].dtype)] for name, shape in shapes.items()]
    lines = [
        table(["array", "shape", "type"], rows),
        f"{items} items are in {out}.",
        *(f"Warning: {w}" for w in warnings),
    ]
    return Answer({**data, "warnings": warnings}, "\n".join(lines))


def _cells(arrays: Mapping[str, np.ndarray]) -> int:
    """Count the positions of all pictures: what one codebook chose."""
    return next(array.size for name, array in arrays.items() if name.startswith("codes/"))


def _from_tokens(path: str, family: Any) -> list[Item]:
    from backend.errors import BadInput
    from backend.types import Item

    file = existing_file(path, "token ids")
    try:
        ids = np.load(file, mmap_mode="r", allow_pickle=False)  # mapped: what claims more than it holds is refused
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(
            f"{path} is not a numpy file of plain numbers. Save token ids with numpy.save, int64."
        ) from error
    if not isinstance(ids, np.ndarray) or ids.ndim != 2 or ids.dtype.kind not in "iu" or ids.shape[1] == 0:
        what = f"{ids.dtype} {ids.shape}" if isinstance(ids, np.ndarray) else "several arrays"
        raise BadInput(f"{path} holds {what}. Token ids must be whole numbers [item, position].")
    ids = ids.astype(np.int64)
    family.check(ids)
    return [Item(index, (ids.shape[1],), row) for index, row in enumerate(ids)]


def _from_text(path: str, family: Any) -> list[Item]:
    from backend.errors import BadInput
    from backend.types import Item

    try:
        lines = existing_file(path, "text").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as UTF-8 text: {error}.") from error
    items = []
    for number, line in enumerate(lines, start=1):
        try:
            ids = family.dataset.parse(line)
            if not len(ids):
                raise BadInput("it is empty")
            family.check(ids)
        except BadInput as error:
            raise BadInput(f"{path}, line {number}: {error}") from error
        items.append(Item(number - 1, (len(ids),), ids))
    if not items:
        raise BadInput(f"{path} has no lines. Write one item a line.")
    return items


def _arrays(encoded: Encoded, items: list[Item]) -> dict[str, np.ndarray]:
    """Fold flat grids into `[item, position, ...]`; short items are filled up with code -1 and NaN, from `lengths` on."""
    lengths = np.array([item.positions for item in items], dtype=np.int64)
    longest = int(lengths.max(initial=0))
    inside = np.arange(longest) < lengths[:, None]  # [item, position]

    def spread(flat: np.ndarray, empty: float, dtype: type) -> np.ndarray:
        full: np.ndarray = np.full((len(items), longest, flat.shape[1]), empty, dtype=dtype)
        full[inside] = flat
        return full

    arrays = {}
    for site, grid in encoded.grids.items():
        arrays[f"codes/{site}"] = spread(grid.codes, -1, np.int64)
        arrays[f"scores/{site}"] = spread(grid.scores, np.nan, np.float32)
    assert encoded.logits is not None
    arrays["logits"] = spread(encoded.logits, np.nan, np.float32)
    arrays["lengths"] = lengths
    return arrays


ENCODE = Command(
    "encode",
    "code ids of your own input",
    (
        "encode tokfsm-small --text walks.txt --out codes.npz",
        "encode tokfsm-small --tokens ids.npy --edit L1.mlp:41@-1 --out edited.npz",
        "encode scenes-vq-1024 --images photos/ --size 128 --out tokens.npz",
    ),
    _encode_options,
    _encode,
    f"""\
FILE.npz gets codes/SITE and scores/SITE [item, position, slot] for every codebook, best slot first, and logits
[item, position, token] (pictures: reconstruction). Shorter items are filled up with code -1, from `lengths` on.
Logits take 4 bytes a token of the vocabulary at every position: most of the file. A long text is best given in parts.

{EDITS}""",
)
