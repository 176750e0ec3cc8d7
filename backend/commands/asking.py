"""Asking a model or its store: `search`, `steer`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli import (
    EDITS,
    Answer,
    Command,
    Progress,
    add_edit,
    add_model,
    clean,
    counting,
    positive,
    table,
    temperature,
)

if TYPE_CHECKING:
    from backend.answers.live import Arm


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
            raise BadInput(f"{label[:80]!r} is not a label. Write FIELD=VALUE, e.g. state=17.")
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
    """Open the live model of that name; raises `Unsupported` where it writes no text."""
    from backend import catalog
    from backend.errors import Unsupported
    from backend.explorer import Explorer

    if (kind := catalog.find(model, data_dir).kind) != "text":  # said before anything is loaded
        raise Unsupported(f"{model!r} reads {kind} items: it writes no text. `models` lists the others.")
    return Explorer(data_dir).live(model)


def _steer(options: argparse.Namespace, progress: Progress) -> Answer:
    from backend.edits.codes import check_positions
    from backend.types import Edit, Sampling

    edits = [Edit.parse(text) for text in options.edit]
    sampling = Sampling(options.samples, options.max_new_tokens, options.temperature, options.top_k, options.seed)
    topic, dose = _topic(options.topic), _dose(options.dose)
    progress(f"loading {options.model}", 0, 0)
    live = language_model(options.model, options.data_dir)
    read = len(live.parse(options.prompt)) + options.max_new_tokens
    check_positions(edits, min(live.context, read), "tokens in prompt and new text")
    comparison = live.compare(
        options.prompt,
        edits,
        sampling,
        success=options.success,
        topic=topic,
        dose=dose,
        dose_samples=options.dose_samples,
        progress=progress,
    )
    arms = {
        "unsteered": comparison.unsteered,
        "steered": comparison.steered,
        "control": comparison.control,
        "neuron": comparison.neuron,
    }
    shown_arms = [*(arm for arm in arms.values() if arm is not None), *comparison.dose]
    rows = [
        [
            arm.name,
            changes if len(changes := _changes(arm)) < 60 else f"{changes[:56]} ...",
            _success(arm),
            arm.perplexity,
        ]
        + [clean(arm.generated[0].text)]
        for arm in shown_arms
    ]
    text = table(["", "edits", "success (95 %)", "perplexity", "first sample"], rows)
    data = {
        "model": options.model,
        "prompt": options.prompt,
        "warnings": comparison.warnings,
        **{name: None if arm is None else _arm(arm) for name, arm in arms.items()},
        "dose": [{"strength": arm.strength, **_arm(arm)} for arm in comparison.dose],
    }
    return Answer(data, "\n".join([text, *(f"Warning: {warning}" for warning in comparison.warnings)]))


def _topic(text: str | None) -> tuple[str, str] | None:
    from backend.errors import BadInput

    field, equals, value = (text or "").partition("=")
    if text is not None and not (field and equals and value):
        raise BadInput(f"{text[:80]!r} is not a topic. Write FIELD=VALUE, e.g. topic=dragon.")
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
            f"{text[:80]!r} are not shares of a strength. Write numbers from 0 to 1.5 with commas between them, or curve."
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
        "texts": [sample.text for sample in arm.generated],
        "success": success,
        "perplexity": arm.perplexity,
        "seconds": arm.seconds,
    }


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
