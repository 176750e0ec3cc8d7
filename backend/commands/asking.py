"""Asking a model or its store: `encode`, `search`, `steer`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.commands.command import Answer, Command, Progress, clean, counting, existing_file, positive, table

if TYPE_CHECKING:
    from backend.answers import SearchResult
    from backend.live_answers import Arm
    from backend.types import Encoded, Item

HELD_OUT_CANDIDATES = 2_000  # codes looked at before those that do best on one half are taken


# -- encode --------------------------------------------------------------------------------------------------------


def _encode_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--tokens", metavar="FILE.npy", help="token ids, int64 [item, position]")
    given.add_argument("--text", metavar="FILE", help="one item a line, read as the model's data set writes it")
    parser.add_argument(
        "--edit",
        action="append",
        default=[],
        metavar="EDIT",
        help="SITE:CODE[:STRENGTH|:ban|:zero][@WHERE][#SLOT]; repeatable",
    )
    parser.add_argument("--out", required=True, metavar="FILE.npz", help="where codes, scores and logits go")


def _encode(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend import catalog
    from backend.errors import BadInput, Unsupported
    from backend.families import open_family
    from backend.types import Edit

    edits = [Edit.parse(text) for text in options.edit]
    out = Path(options.out).expanduser()
    if not out.parent.is_dir():
        raise BadInput(f"There is no folder {out.parent} to write {out.name} into. Make it first.")
    family = open_family(catalog.find(options.model, options.data_dir), options.data_dir)
    if "logits" not in family.capabilities:
        raise Unsupported(f"{options.model} reads no text, so it cannot encode tokens.")
    items = _from_tokens(options.tokens, family) if options.tokens else _from_text(options.text, family)
    progress(f"encoding {len(items)} items", 0, 1)
    encoded = family.encode(items, edits, logits=True)
    progress(f"encoding {len(items)} items", 1, 1)
    arrays = _arrays(encoded, items)
    _write_npz(out, arrays)
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    positions = sum(item.positions for item in items)
    data = {"model": options.model, "items": len(items), "positions": positions, "out": str(out), "arrays": shapes}
    rows = [[name, " x ".join(map(str, shape)), str(arrays[name].dtype)] for name, shape in shapes.items()]
    return Answer(data, f"{table(['array', 'shape', 'type'], rows)}\n{len(items)} items are in {out}.")


def _from_tokens(path: str, family: Any) -> list[Item]:
    from backend.errors import BadInput
    from backend.types import Item

    file = existing_file(path, "token ids")
    try:
        ids = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} is no numpy file of plain numbers. Save token ids with numpy.save, int64.") from error
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
    """Flat grids -> `[item, position, ...]`; short items are filled up with code -1 and NaN, from `lengths` on."""
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


def _write_npz(out: Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)


# -- search --------------------------------------------------------------------------------------------------------


def _search_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument(
        "regex", metavar="REGEX", help="RE2; the first group's first character names the token. May be '' with --label"
    )
    parser.add_argument("--min-support", type=positive, default=5, metavar="N", help="hits that a code needs (5)")
    parser.add_argument(
        "--held-out", action="store_true", help="choose codes on one half of the items, measure them on the other"
    )
    parser.add_argument("--site", action="append", metavar="SITE", help="only this codebook; repeatable")
    parser.add_argument("--label", metavar="FIELD=VALUE", help="only positions with this label, e.g. 'state=17'")
    parser.add_argument("--limit", type=positive, default=50, metavar="N", help="codes listed (50)")
    parser.add_argument(
        "--order", default="f1", choices=("f1", "precision", "recall", "hits"), help="best first by (f1)"
    )


def _search(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.errors import BadInput
    from backend.explorer import Explorer

    field, equals, value = (options.label or "").partition("=")
    if options.label is not None and not equals:
        raise BadInput(f"{options.label[:80]!r} is no label. Write FIELD=VALUE, e.g. state=17.")
    result = Explorer(options.data_dir).search(
        options.model,
        options.regex,
        sites=options.site,
        min_support=options.min_support,
        limit=HELD_OUT_CANDIDATES if options.held_out else options.limit,
        field=field if equals else None,
        value=value if equals else None,
        order=options.order,
        baselines=0 if options.held_out else min(options.limit, 20),
    )
    codes = _held_out(result, options.order)[: options.limit] if options.held_out else result.codes.to_dict("records")
    matches = result.matches_held_out if options.held_out else result.matches
    columns = [
        "ref",
        "precision",
        "recall",
        "f1",
        "hits",
        "count",
        "precision_low",
        "precision_high",
        "recall_low",
        "recall_high",
    ]
    half = "on the half of the items that codes were not chosen on" if options.held_out else "in all items"
    text = table(columns, [[row[column] for column in columns] for row in codes])
    data = {
        "model": options.model,
        "pattern": options.regex,
        "held_out": options.held_out,
        "matches": matches,
        "matches_held_out": result.matches_held_out,
        "positions": result.positions,
        "candidates": result.candidates,
        "seconds": result.seconds,
        "codes": codes,
    }
    return Answer(data, f"{matches:,} matches {half}; {result.candidates:,} codes with enough hits.\n{text}")


def _held_out(result: SearchResult, order: str) -> list[dict[str, Any]]:
    """Codes in the order that one half of the items gives, with the other half's numbers."""
    from backend.analysis.intervals import wilson

    table_ = result.codes
    hits, count = table_["held_out_hits"].to_numpy(), table_["held_out_count"].to_numpy()
    first_hits, first_count = table_["hits"].to_numpy() - hits, table_["count"].to_numpy() - count
    matches, first_matches = result.matches_held_out, result.matches - result.matches_held_out
    with np.errstate(divide="ignore", invalid="ignore"):
        orders = {
            "f1": 2 * first_hits / (first_count + first_matches),
            "precision": first_hits / first_count,
            "recall": first_hits / first_matches,
            "hits": first_hits,
        }
        best = np.argsort(-np.nan_to_num(orders[order], nan=-1.0), kind="stable")
        found = {"precision": hits / count, "recall": hits / matches, "f1": 2 * hits / (count + matches)}
    for name, n in (("precision", count), ("recall", np.full(len(hits), matches))):
        found[f"{name}_low"], found[f"{name}_high"] = wilson(hits, n)
    refs = table_["ref"].tolist()
    return [
        {"ref": refs[i], **{name: values[i] for name, values in found.items()}, "hits": hits[i], "count": count[i]}
        for i in best
        if first_hits[i] > 0
    ]


# -- steer ---------------------------------------------------------------------------------------------------------


def _steer_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument(
        "--prompt", required=True, metavar="P", help="text before the new tokens; may be '' for some data sets"
    )
    parser.add_argument(
        "--edit",
        action="append",
        required=True,
        metavar="EDIT",
        help="SITE:CODE[:STRENGTH|:ban|:zero][@WHERE][#SLOT]; repeatable",
    )
    parser.add_argument("--samples", type=positive, default=20, metavar="N", help="continuations of each kind (20)")
    parser.add_argument("--seed", type=counting, default=0, metavar="S", help="the same for all kinds (0)")
    parser.add_argument("--success", default="", metavar="REGEX", help="RE2; a sample succeeds if its new text matches")
    parser.add_argument(
        "--max-new-tokens", type=positive, default=60, metavar="N", help="length of a continuation (60)"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="0 takes the most likely token (1)")
    parser.add_argument("--top-k", type=positive, metavar="N", help="only so many of the most likely tokens")


def _steer(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.explorer import Explorer
    from backend.types import Edit

    edits = [Edit.parse(text) for text in options.edit]
    progress(f"loading {options.model}", 0, 0)
    found = (
        Explorer(options.data_dir)
        .live(options.model)
        .compare(
            options.prompt,
            edits,
            samples=options.samples,
            max_new_tokens=options.max_new_tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            seed=options.seed,
            success=options.success,
        )
    )
    arms: tuple[Arm, ...] = (found.unsteered, found.steered, found.control)
    rows = []
    for arm in arms:
        success = "-" if arm.hits is None else f"{arm.rate:.0%} ({arm.low:.0%} to {arm.high:.0%})"
        rows.append(
            [arm.name, " ".join(map(str, arm.edits)) or "-", success, arm.perplexity, clean(arm.generated[0].text)]
        )
    text = table(["", "edits", "success (95 %)", "perplexity", "first sample"], rows)
    return Answer({"model": options.model, "prompt": options.prompt, **{arm.name: _arm(arm) for arm in arms}}, text)


def _arm(arm: Arm) -> dict[str, Any]:
    n = len(arm.generated)
    success = (
        None if arm.hits is None else {"rate": arm.rate, "low": arm.low, "high": arm.high, "n": n, "hits": arm.hits}
    )
    return {
        "edits": [str(edit) for edit in arm.edits],
        "texts": [made.text for made in arm.generated],
        "success": success,
        "perplexity": arm.perplexity,
        "seconds": arm.seconds,
    }


ENCODE = Command(
    "encode",
    "code ids of your own input",
    (
        "encode tokfsm-small --text walks.txt --out codes.npz",
        "encode tokfsm-small --tokens ids.npy --edit L1.mlp:41@-1 --out edited.npz",
    ),
    _encode_options,
    _encode,
)
SEARCH = Command(
    "search",
    "find codes that fire on a pattern, by precision, recall and F1",
    ("search tokfsm-small '0(7)'", "search tokfsm-small '' --label 'state read=07' --held-out --json"),
    _search_options,
    _search,
)
STEER = Command(
    "steer",
    "generate with and without edits, and with random codes as a control",
    ("steer tokfsm-small --prompt '17 03' --edit L1.mlp:41 --samples 20 --success '^ 07'",),
    _steer_options,
    _steer,
)
