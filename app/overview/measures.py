"""What was measured and built, as HTML. The figures of papers keep a column of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from app.draw import html
from app.draw.tables import records
from app.overview.gallery import use_of
from backend.errors import UnknownModel
from backend.explorer import Explorer

CEILING = (
    "The share of codes that fire in the build, of those that its choices would reach on average if all codes were equally "
    "likely: 1 - exp(-T / K) of K codes after T choices. A large codebook cannot be used up by a small build."
)


def introduction(model: str) -> Markup:
    """What a code and a codebook are, and where to start: at a model, where one is built."""
    start = (
        html.link(html.address("codebooks", model=model), f"the codebooks of {model}")
        if model
        else "the first model below"
    )
    return Markup(
        "<p>A codebook is a list of vectors at one place inside a network, which must say what it has to say there with "
        "the few that fit best; each vector is a code. Start with {}: choose a code and read what it fires on.</p>"
    ).format(start)


def model_name(model: str, title: str, problem: str = "", built: bool = False) -> Markup:
    """Return a model's name over what it is; the name leads to its codebooks where it is built."""
    name = html.link(html.address("codebooks", model=model), model) if built else Markup("{}").format(model)
    wrong = Markup("<br><span class='bad'>{}</span>").format(problem[:300]) if problem else ""
    return Markup("{}<br><span class='faint'>{}</span>{}").format(name, title, wrong)


def model_table(models: pd.DataFrame, metrics: Mapping[str, pd.DataFrame]) -> Markup:
    """Return the models that are built: what they are, their size, how much of their codes is used and what they cost.

    Args:
        models: rows of what `Explorer.models` says, all with a build.
        metrics: model -> what `Explorer.metrics` says.
    """
    rows: list[list[Any]] = []
    for row in records(models):
        use = use_of(row)
        rows.append(
            [
                model_name(row.model, row.title, row.problem or "", built=row.codebooks > 0),
                _over(row.dataset, row.kind),
                _over(html.compact(row.positions), f"{int(row.items):,} items"),
                html.compact(row.activations),
                _over(f"{int(row.codes):,}", f"in {int(row.codebooks):,} codebook{'s' if row.codebooks != 1 else ''}"),
                Markup('<span title="{}">{}</span>').format(use.definition, html.bar(use.share)) if use.codes else "–",
                _figure(metrics.get(row.model, pd.DataFrame({"name": []})), "lm_loss_above_base", "+"),
                _over(*str(row.finished)[:16].split("T")) if "T" in str(row.finished) else row.finished,
            ]
        )
    columns = [
        "Model",
        "Data",
        "Positions",
        "Activations",
        "Codes",
        Markup('<span title="{}">Codes used / ceiling</span>').format(CEILING),
        "Loss above base",
        "Built",
    ]
    return html.table(columns, rows, right=(2, 3, 4, 6), caption="models")


def _over(value: Any, note: Any) -> Markup:
    """Return a cell with a note below its value, neither broken over lines."""
    return Markup('<span class="whole">{}<br><span class="faint">{}</span></span>').format(value, note)


def plain_table(models: pd.DataFrame, bases: Collection[str]) -> Markup:
    """Return the models of which nothing can be built, with the reason."""
    rows = [
        [
            model_name(row.model, row.title, row.problem or ""),
            _over(row.dataset, row.kind),
            "plain: nothing to build" if row.model in bases else "no weights here",
        ]
        for row in records(models)
    ]
    return html.table(["Model", "Data", ""], rows, caption="models without codes")


def _figure(metrics: pd.DataFrame, name: str, sign: str = "") -> str:
    found = metrics[metrics["name"] == name]
    return "–" if found.empty else f"{float(found['value'].iloc[0]):{sign}z.3f}"


def published(explorer: Explorer, model: str) -> Mapping[str, Any]:
    """The paper's figures; none for a build whose model has left the catalog."""
    try:
        return explorer.published(model)
    except UnknownModel:
        return {}


def metric_table(metrics: pd.DataFrame, published: Mapping[str, Any]) -> Markup:
    """Each measured number with its range over seeds, its denominator and its definition.

    Args:
        metrics: `name, value, low, high, n, seeds, definition`.
        published: name -> the paper's figure, for a column of its own.
    """
    rows = []
    for row in metrics.to_dict("records"):
        digits = DECIMALS.get(row["name"], 3)
        low, value, high = (html.number(float(row[name]), digits) for name in ("low", "value", "high"))
        rows.append(
            [
                Markup("<code>{}</code>").format(row["name"]),
                Markup("<b>{}</b>").format(value),
                "" if row["seeds"] <= 1 else f"{low} to {high}",
                f"{int(row['n']):,}",
                int(row["seeds"]),
                _published(published.get(row["name"])),
                Markup('<span class="faint">{}</span>').format(row["definition"]),
            ]
        )
    others = [(k, v) for k, v in published.items() if k not in set(metrics["name"])]
    note = Markup("")
    if others:
        note = Markup('<p class="faint">Also in the paper, on its own model: {}.</p>').format(
            "; ".join(f"{k} {_published(v)}" for k, v in others)
        )
    columns = ["Measure", "Value", "Range over seeds", "n", "Seeds", "Paper (other model)", "What is counted"]
    return html.table(columns, rows, right=(1, 2, 3, 4, 5), caption="measures") + note


def _published(value: Any) -> str:
    if value is None:
        return ""
    return html.number(float(value)) if isinstance(value, (int, float)) else str(value)


def fact_table(facts: Mapping[str, Any]) -> Markup:
    """The build's own account of itself, the long values last and shortened."""
    order = (
        "finished",
        "seconds",
        "items",
        "positions",
        "activations",
        "seed",
        "capabilities",
        "dataset",
        "checkpoint_hash",
        "code_version",
        "schema_version",
        "checks",
    )
    names = [n for n in order if n in facts]
    rows = [[n.replace("_", " "), _fact(facts[n])] for n in names]
    return html.table(["Fact", "Value"], rows, caption="facts of the build")


def _fact(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {_fact(v)}" for k, v in list(value.items())[:24])
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value[:24])
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text[:200]  # the beginning of a hash will do


def ways(model: str) -> Markup:
    """Where to go with a model."""
    pages = {"codebooks": "Codebooks", "search": "Search", "lens": "Lens"}
    links = [html.link(html.address(page, model=model), title, "act") for page, title in pages.items()]
    return Markup('<div class="actions" style="margin-top:.6rem">{}</div>').format(Markup("").join(links))


COMPARED = {  # measure -> heading; those the paper prints get its figure beside them
    "lm_loss": "Loss, nats",
    "lm_loss_above_base": "above base",
    "lm_accuracy": "LM accuracy",
    "transition_accuracy": "Valid transitions",
    "state_code_precision": "State codes: precision",
    "state_code_recall": "recall",
    "neuron_precision": "best neuron",
    "jsd_all_mlp_normalized": "Divergence, MLP codes forced",
    "jsd_wrong_state_normalized": "control",
    "dead_code_fraction": "Dead codes",
    "utilization": "Codes used",
    "utilization_of_ceiling": "of the ceiling",
    "utilization_at_5": "at 5 tokens a code",
    "tokens_counted": "Tokens counted",
    "perplexity": "Perplexity",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "feature_distance": "Feature distance",
}
DECIMALS = {"tokens_counted": 0, "perplexity": 1, "psnr": 2}  # of a measure; three of all others
PRINTED = ("lm_loss", "lm_accuracy", "transition_accuracy", "utilization")


def comparison_table(record: Mapping[str, Any]) -> Markup:
    """One row a trained model, or several seeds of one, the paper's own figures in columns of their own.

    Args:
        record: what `reproduce` wrote.
    """
    measured = {name for row in record["rows"] for name in row["metrics"]}
    shown = {name: heading for name, heading in COMPARED.items() if name in measured}
    rows = []
    for seeds in _by_title(record["rows"]):
        first = seeds[0]
        more = f", {len(seeds)} training seeds" if len(seeds) > 1 else ""
        cells: list[Any] = [
            Markup("{}<br><span class='faint'>{}{}</span>").format(first["model"], first["title"], more)
        ]
        for name in shown:
            metrics = [row["metrics"][name] for row in seeds if name in row["metrics"]]
            cells.append(_with_range(name, metrics) if metrics else "")
            if name in PRINTED:
                printed = first["paper"].get(name)
                shown_there = "" if printed is None else _fixed(name, printed)
                cells.append(Markup('<span class="paper">{}</span>').format(shown_there))
        rows.append(cells)
    columns = ["Model"]
    for name, heading in shown.items():
        columns += [heading, "paper"] if name in PRINTED else [heading]
    return html.table(columns, rows, right=tuple(range(1, len(columns))), caption=f"comparison {record['table']}")


def _by_title(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The seeds of one kind of model together, in the order of the first ones."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(str(row["title"]), []).append(row)
    return list(kinds.values())


def _fixed(name: str, value: Any) -> str:
    """Return a measure with its own decimals, the same in all rows of a column; what is not a number stays as it is."""
    return f"{value:z,.{DECIMALS.get(name, 3)}f}" if isinstance(value, int | float) else str(value)


def _with_range(name: str, metrics: Sequence[Mapping[str, Any]]) -> Markup:
    """The mean over training seeds; what it ranges over is said where it is pointed at."""
    value = sum(float(metric["value"]) for metric in metrics) / len(metrics)
    first = metrics[0]
    trained = f"{len(metrics)} training seeds, " if len(metrics) > 1 else ""
    return Markup('<b title="{} to {} over {}{} evaluation seeds, n = {:,}. {}">{}</b>').format(
        _fixed(name, min(float(metric["low"]) for metric in metrics)),
        _fixed(name, max(float(metric["high"]) for metric in metrics)),
        trained,
        first["seeds"],
        int(first["n"]),
        first["definition"],
        _fixed(name, value),
    )


def comparison_note(record: Mapping[str, Any]) -> str:
    """Where a comparison's figures come from, in one line."""
    minutes = sum(float(row["training"].get("seconds", 0)) for row in record["rows"]) / 60
    missing = len(record.get("missing", ()))
    return (
        f"trained here in {minutes:.0f} min, measured with {record['evaluation_seeds']} evaluation seeds, finished "
        f"{str(record['finished'])[:10]}; the paper's are of other, larger models: see each model's card"
        + (f"; {missing} rows are not made yet" if missing else "")
    )
