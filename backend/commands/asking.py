"""Asking a model or its store: `encode`, `search`, `steer`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.commands.command import (
    EDITS,
    Answer,
    Command,
    Progress,
    add_edit,
    add_model,
    clean,
    counting,
    edits_of_given,
    existing_file,
    given_path,
    new_file,
    positive,
    table,
    temperature,
)
from backend.commands.pictures import encode_pictures
from backend.files import replacing

if TYPE_CHECKING:
    from backend.live_answers import Arm
    from backend.types import Encoded, Item


# -- encode --------------------------------------------------------------------------------------------------------


def _encode_options(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--tokens", metavar="FILE.npy", help="token ids, int64 [item, position]")
    given.add_argument("--text", metavar="FILE", help="one item a line, read as the model's data set writes it")
    given.add_argument(
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
    from backend.errors import Unsupported
    from backend.families import open_family

    edits = edits_of_given(options.edit)
    out = new_file(options.out)
    family = open_family(catalog.find(options.model, options.data_dir), options.data_dir)
    wanted, what = ("decode", "pictures") if options.images else ("logits", "text")
    if wanted not in family.capabilities:
        raise Unsupported(f"{options.model} reads no {what}, so it cannot encode {'it' if what == 'text' else 'them'}.")
    if options.images:
        arrays, warnings = encode_pictures(family, options.images, options.size, edits, progress)
        items, positions = len(arrays["reconstruction"]), _cells(arrays)
    else:
        read = _from_tokens(options.tokens, family) if options.tokens else _from_text(options.text, family)
        progress(f"encoding {len(read)} items", 0, 1)
        arrays, warnings = _arrays(family.encode(read, edits, logits=True), read), []
        progress(f"encoding {len(read)} items", 1, 1)
        items, positions = len(read), sum(item.positions for item in read)
    with replacing(out) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    data = {"model": options.model, "items": items, "positions": positions, "out": str(out), "arrays": shapes}
    rows = [[name, " x ".join(map(str, shape)), str(arrays[name].dtype)] for name, shape in shapes.items()]
    said = [
        table(["array", "shape", "type"], rows),
        f"{items} items are in {out}.",
        *(f"Warning: {w}" for w in warnings),
    ]
    return Answer({**data, "warnings": warnings}, "\n".join(said))


def _cells(arrays: Mapping[str, np.ndarray]) -> int:
    """Positions of all pictures: what one codebook chose."""
    return next(array.size for name, array in arrays.items() if name.startswith("codes/"))


def _from_tokens(path: str, family: Any) -> list[Item]:
    from backend.errors import BadInput
    from backend.types import Item

    file = existing_file(path, "token ids")
    try:
        ids = np.load(file, mmap_mode="r", allow_pickle=False)  # mapped: what claims more than it holds is refused
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


# -- search --------------------------------------------------------------------------------------------------------


def _search_options(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "regex", metavar="REGEX", help="RE2; the first group's first character names the token. May be '' with --label"
    )
    parser.add_argument("--min-support", type=positive, default=5, metavar="N", help="hits that a code needs (5)")
    parser.add_argument(
        "--held-out", action="store_true", help="choose codes on one half of the items, measure them on the other"
    )
    parser.add_argument("--site", action="append", metavar="SITE", help="only this codebook; repeatable")
    parser.add_argument(
        "--label",
        action="append",
        metavar="FIELD=VALUE",
        help="only positions with this label, e.g. 'state=17', or of items with a tag: 'item:class=disc'; repeatable",
    )
    parser.add_argument("--limit", type=positive, default=50, metavar="N", help="codes listed (50)")
    parser.add_argument(
        "--order", default="f1", choices=("f1", "precision", "recall", "hits"), help="best first by (f1)"
    )


def _search(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.errors import BadInput
    from backend.explorer import Explorer

    labels = [label.partition("=")[::2] for label in options.label or ()]
    for label in options.label or ():
        if "=" not in label:
            raise BadInput(f"{label[:80]!r} is no label. Write FIELD=VALUE, e.g. state=17.")
    result = Explorer(options.data_dir).search(
        options.model,
        options.regex,
        sites=options.site,
        min_support=options.min_support,
        limit=options.limit,
        also=labels,
        order=options.order,
        baselines=min(options.limit, 20),
        held_out=options.held_out,
    )
    codes = result.codes.to_dict("records")
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


# -- steer ---------------------------------------------------------------------------------------------------------


def _steer_options(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "--prompt", required=True, metavar="P", help="text before the new tokens; may be '' for some data sets"
    )
    add_edit(parser, required=True)
    parser.add_argument("--samples", type=positive, default=20, metavar="N", help="continuations of each kind (20)")
    parser.add_argument("--seed", type=counting, default=0, metavar="S", help="the same for all kinds (0)")
    parser.add_argument("--success", default="", metavar="REGEX", help="RE2; a sample succeeds if its new text matches")
    parser.add_argument(
        "--topic",
        metavar="FIELD=VALUE",
        help="without --success: a sample succeeds if this is true of its new text, as the data set judges it; "
        "with it: what the best neuron is looked for by",
    )
    parser.add_argument(
        "--dose",
        metavar="STRENGTHS",
        help="try the edits at these shares of their strength too, 0 to 1.5: 0,0.5,1,1.5; 'curve': 0 to 1.5 in steps of 0.25",
    )
    parser.add_argument("--dose-samples", type=positive, default=20, metavar="N", help="of each share (20)")
    parser.add_argument(
        "--max-new-tokens", type=positive, default=60, metavar="N", help="length of a continuation (60)"
    )
    parser.add_argument("--temperature", type=temperature, default=1.0, help="0 takes the most likely token (1)")
    parser.add_argument("--top-k", type=positive, metavar="N", help="only so many of the most likely tokens")


def language_model(model: str, data_dir: Path) -> Any:
    """The live model of that name; raises `Unsupported` where it writes no text."""
    from backend import catalog
    from backend.errors import Unsupported
    from backend.explorer import Explorer

    if (kind := catalog.find(model, data_dir).kind) != "text":
        raise Unsupported(f"{model!r} is a model of {kind}s: it writes no text. `models` lists the others.")
    return Explorer(data_dir).live(model)


def _steer(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.types import Edit, Sampling

    edits = [Edit.parse(text) for text in options.edit]
    sampling = Sampling(options.samples, options.max_new_tokens, options.temperature, options.top_k, options.seed)
    topic, dose = _topic(options.topic), _dose(options.dose)
    progress(f"loading {options.model}", 0, 0)
    found = language_model(options.model, options.data_dir).compare(
        options.prompt,
        edits,
        sampling,
        success=options.success,
        topic=topic,
        dose=dose,
        dose_samples=options.dose_samples,
        progress=progress,
    )
    arms = {"unsteered": found.unsteered, "steered": found.steered, "control": found.control, "neuron": found.neuron}
    made = [*(arm for arm in arms.values() if arm is not None), *found.dose]
    rows = [
        [
            arm.name,
            changes if len(changes := _changes(arm)) < 60 else f"{changes[:56]} ...",
            _success(arm),
            arm.perplexity,
        ]
        + [clean(arm.generated[0].text)]
        for arm in made
    ]
    text = table(["", "edits", "success (95 %)", "perplexity", "first sample"], rows)
    data = {
        "model": options.model,
        "prompt": options.prompt,
        "warnings": found.warnings,
        **{name: None if arm is None else _arm(arm) for name, arm in arms.items()},
        "dose": [{"strength": arm.strength, **_arm(arm)} for arm in found.dose],
    }
    return Answer(data, "\n".join([text, *(f"Warning: {warning}" for warning in found.warnings)]))


def _topic(text: str | None) -> tuple[str, str] | None:
    from backend.errors import BadInput

    field, equals, value = (text or "").partition("=")
    if text is not None and not (field and equals and value):
        raise BadInput(f"{text[:80]!r} is no topic. Write FIELD=VALUE, e.g. topic=dragon.")
    return (field, value) if text is not None else None


def _dose(text: str | None) -> tuple[float, ...]:
    from backend.errors import BadInput

    if text is None:
        return ()
    if text == "curve":
        return tuple(step / 4 for step in range(7))
    try:
        strengths = tuple(float(part) for part in text.split(","))
    except ValueError:
        strengths = (-1.0,)
    if not all(0 <= strength <= 1.5 for strength in strengths):
        raise BadInput(
            f"{text[:80]!r} are no shares of a strength. Write numbers from 0 to 1.5 with commas between them, or curve."
        )
    return strengths


def _changes(arm: Arm) -> str:
    return " ".join(map(str, [*arm.edits, *arm.neurons])) or "-"


def _success(arm: Arm) -> str:
    return "-" if arm.hits is None else f"{arm.rate:.0%} ({arm.low:.0%} to {arm.high:.0%})"


def _arm(arm: Arm) -> dict[str, Any]:
    n = len(arm.generated)
    success = (
        None if arm.hits is None else {"rate": arm.rate, "low": arm.low, "high": arm.high, "n": n, "hits": arm.hits}
    )
    return {
        "edits": [str(edit) for edit in arm.edits],
        "neurons": [{"site": n.site, "number": n.number, "value": n.value} for n in arm.neurons],
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
        "encode scenes-vq-1024 --images photos/ --size 128 --out tokens.npz",
    ),
    _encode_options,
    _encode,
    f"""\
FILE.npz gets codes/SITE and scores/SITE [item, position, slot] for every codebook, best slot first, and logits
[item, position, token] (pictures: reconstruction). Shorter items are filled up with code -1, from `lengths` on.

{EDITS}""",
)
SEARCH = Command(
    "search",
    "find codes that fire on a pattern, by precision, recall and F1",
    ("search tokfsm-small '0(7)'", "search tokfsm-small '' --label 'state read=07' --held-out --json"),
    _search_options,
    _search,
    """\
A pattern matches tokens. Of a code: precision is the share of its activations that lie on a match, recall the share
of the matches on which it fires, F1 their harmonic mean; with 95 % intervals (Wilson). The model has to be built.""",
)
STEER = Command(
    "steer",
    "generate with and without edits, and with random codes and the best neurons as controls",
    (
        "steer tokfsm-small --prompt '17 03' --edit L1.mlp:41 --samples 20 --success '^ 07'",
        "steer stories-attn-k8 --prompt 'A child' --edit L2.attn.h3:52 --topic topic=dragon --samples 200 --dose curve",
    ),
    _steer_options,
    _steer,
    EDITS,
)
