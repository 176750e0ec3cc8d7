"""Image tokenizers side by side in figures: quality with its spread, the trade of bits for likeness, and, apart, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from markupsafe import Markup

from app.draw import html, published
from app.draw.charts import BLUE, GREEN, ORANGE, PINK
from app.draw.use import Use
from backend.jobs.compare import DEFINITIONS, Compared
from backend.jobs.timing import Timing

COLOURS = [BLUE, ORANGE, GREEN, PINK]
HEADINGS = {  # of the measures that have a row of their own
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "feature_distance": "Feature distance",
    "utilization": "Codes used",
    "perplexity": "Perplexity",
    "bits_per_pixel": "Bits per pixel",
    "encode_ms": "Encode",
    "decode_ms": "Decode",
}
Figures = Mapping[str, Any]


def figures_table(compared: Sequence[Compared], papers: Mapping[str, Figures]) -> Markup:
    """Draw one column a tokenizer: every figure with its spread or denominator, the papers' in a row of their own.

    Args:
        compared: the tokenizers.
        papers: model -> the figures of the paper's own model of this kind.
    """
    figures = [one.row() for one in compared]
    lines: list[tuple[str, Callable[[Figures], Markup]]] = [
        ("psnr", lambda row: _spread(row, "psnr", 2)),
        ("ssim", lambda row: _spread(row, "ssim", 3)),
        ("feature_distance", lambda row: _spread(row, "feature_distance", 3)),
        ("utilization", _use),
        ("perplexity", lambda row: _two(f"{row['perplexity']:,.0f}", f"{int(row['tokens_counted']):,} tokens")),
        (
            "bits_per_pixel",
            lambda row: _two(f"{row['bits_per_pixel']:.3f}", f"effective {row['bits_per_pixel_effective']:.3f}"),
        ),
    ]
    rows: list[list[Any]] = [[_term(name), *map(draw, figures)] for name, draw in lines]
    title = "of the paper's own model and data, shown where it has as many codes as the tokenizer of the column"
    heading = Markup('<span title="{}">Published</span>').format(title)
    rows.append([heading, *(_published(papers.get(row["model"], {}), int(row["codes"])) for row in figures)])
    return _table(compared, rows, "tokenizers on the same pictures")


def verdict(compared: Sequence[Compared]) -> Markup:
    """Say in words who rebuilds these pictures best, by how much, and with how many codes; nothing of one alone.

    The pictures are the same for all, so differences are taken picture by picture; one that is less than two standard
    errors of its mean is not called one.
    """
    if len(compared) < 2:
        return Markup("")
    psnr = {one.model: np.where(np.isfinite(one.scores["psnr"]), one.scores["psnr"], 100.0) for one in compared}
    ranked = sorted(psnr, key=lambda model: -psnr[model].mean())
    first, pictures = ranked[0], len(psnr[ranked[0]])

    def against(other: str) -> Markup:
        gaps = psnr[first] - psnr[other]
        error = float(gaps.std(ddof=1)) / np.sqrt(pictures) if pictures > 1 else 0.0
        if gaps.mean() > 2 * error:
            wins = f" (better on {int((gaps > 0).sum())} of {pictures})" if pictures > 1 else ""
            return Markup("{} dB above <b>{}</b>{}").format(html.number(float(gaps.mean()), 2), other, wins)
        said = Markup("not clearly above <b>{}</b> ({} ± {} dB)")
        return said.format(other, html.number(float(gaps.mean()), 2), html.number(error, 2))

    uses = {one.model: one.row() for one in compared}
    codes = [
        Markup("<b>{}</b> {:,} of {:,.0f}").format(model, int(uses[model]["used"]), uses[model]["reachable"])
        for model in ranked
    ]
    return Markup(
        '<p class="verdict"><b>{}</b> has the highest PSNR on {}: {}. Codes used, of those that as many tokens can reach: {}.</p>'
    ).format(
        first,
        "this picture" if pictures == 1 else f"these {pictures} pictures",
        Markup(", ").join(map(against, ranked[1:])),
        Markup(", ").join(codes),
    )


def _table(compared: Sequence[Compared], rows: Sequence[Sequence[Any]], caption: str) -> Markup:
    names = [html.link(html.address("codebooks", model=one.model), one.model, "whole") for one in compared]
    return html.table(["", *names], rows, caption=caption)  # flush left, so that notes may wrap on narrow screens


def _term(name: str) -> Markup:
    """A measure's heading, with its definition where it is pointed at."""
    return Markup('<span class="whole" title="{}">{}</span>').format(DEFINITIONS[name], HEADINGS[name])


def _use(row: Figures) -> Markup:
    """Used of what as many tokens reach first: of a large table they cannot reach all, and the rest is not dead."""
    use = Use(int(row["used"]), int(row["codes"]), int(row["tokens_counted"]), float(row["reachable"]))
    note = f"{html.share(row['utilization'])} of {use.codes:,}; ceiling {html.share(row['ceiling'])}"
    note = note.replace(" %", "\xa0%")  # a narrow column may break the line, but not before the sign
    return Markup('<span title="{}">{}</span><br><span class="faint">{}; {}</span>').format(
        use.definition, use.short, use.counts, note
    )


def _published(paper: Figures, codes: int) -> Markup:
    """A paper's figures and whose they are; a dash where they are of another number of codes."""
    figures = published.of_size(paper, codes)
    if not figures:
        other = published.codes_of(paper)
        reason = "none in the catalog" if other is None else f"the catalog's figure is of {other:,} codes"
        return Markup('<span class="faint" title="{}">–</span>').format(reason)
    shown = ", ".join(
        f"{published.NAMES.get(name, name)} {html.share(value) if name == 'utilization' else value}"
        for name, value in figures.items()
    )
    return Markup('<span class="faint">{}<br>{}</span>').format(shown, str(paper.get("source", "")))


def _two(value: str, note: str) -> Markup:
    return Markup('{}<br><span class="faint">{}</span>').format(value, note)


def _spread(row: Figures, name: str, digits: int) -> Markup:
    value, std, low, high = (html.number(row[name + end], digits) for end in ("", "_std", "_low", "_high"))
    if row[f"{name}_std"] != row[f"{name}_std"]:  # of one picture
        return _two(value, "")
    return _two(f"{value} ± {std}", f"{low} to {high}")


def definitions() -> Markup:
    """Say what every figure means."""
    rows = [[name.replace("_", " "), text] for name, text in DEFINITIONS.items()]
    return html.table(["Figure", "Definition"], rows, caption="definitions")


# ---- time, which is of the machine and the moment


def times_table(compared: Sequence[Compared], timings: Sequence[Timing]) -> Markup:
    """Draw milliseconds a picture: median, and the quickest and slowest pass below."""
    rows: list[list[Any]] = []
    for name in ("encode_ms", "decode_ms"):
        cells = []
        for timing in timings:
            median, low, high = (_milliseconds(timing.row()[name + end]) for end in ("", "_low", "_high"))
            cells.append(_two(median, f"{low} to {high}"))
        rows.append([_term(name), *cells])
    return _table(compared, rows, "milliseconds a picture")


def _milliseconds(value: float) -> str:
    return f"{value:,.2f} ms" if value < 10 else f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def times_note(timings: Sequence[Timing], pictures: int, when: str) -> str:
    """Say how the times were measured, on what and when.

    Args:
        timings: of the tokenizers, measured together.
        pictures: in each pass.
        when: the time of day.
    """
    first = timings[0]
    load = "not known" if first.load != first.load else f"{first.load:.1f} on {first.processors} processors"
    each = "one picture" if pictures == 1 else f"{pictures} pictures at once"
    return f"median of {first.passes} warm passes over {each}, quickest to slowest; at {when}, load before it {load}"


def busy_note(timings: Sequence[Timing]) -> str:
    """Warn where the times cannot be trusted; empty where nothing speaks against them."""
    if timings[0].busy:
        return "Something else was at work on this machine: these times are too long. Measure again when it is done."
    ranges = (spread for timing in timings for spread in (timing.encode, timing.decode))
    if any(spread.high > 3 * spread.low for spread in ranges):
        return "The passes differ by more than three times: something disturbed them. Measure again."
    return ""


# ---- charts


def rate_distortion(frame: pd.DataFrame, score: str) -> alt.LayerChart:
    """Draw bits per pixel against a score: nominal and effective of each tokenizer, with one deviation.

    Args:
        frame: what `backend.jobs.compare.table` says.
        score: `psnr`, `ssim` or `feature_distance`.
    """
    rows = [
        {
            "tokenizer": row["model"],
            "bits": row[name],
            "count": kind,
            "score": row[score],
            "low": row[score] - np.nan_to_num(row[f"{score}_std"]),
            "high": row[score] + np.nan_to_num(row[f"{score}_std"]),
        }
        for row in frame.to_dict("records")
        for kind, name in (("nominal", "bits_per_pixel"), ("effective", "bits_per_pixel_effective"))
    ]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        alt.X("bits:Q", title="bits per pixel", scale=alt.Scale(zero=False, padding=20)),
        alt.Color("tokenizer:N", legend=alt.Legend(orient="top", title=None), scale=alt.Scale(range=COLOURS)),
    )
    title = HEADINGS[score]
    y = alt.Y("score:Q", title=title, scale=alt.Scale(zero=False, padding=15))
    points = base.mark_point(size=110, filled=True, opacity=1).encode(
        y,
        alt.Shape(
            "count:N",
            legend=alt.Legend(orient="top", title=None, symbolFillColor="grey", symbolStrokeColor="grey"),
            scale=alt.Scale(range=["circle", "diamond"]),
        ),
        tooltip=["tokenizer:N", "count:N", alt.Tooltip("bits:Q", format=".3f"), alt.Tooltip("score:Q", format=".3f")],
    )
    bars = base.mark_rule(opacity=0.7).encode(alt.Y("low:Q", title=title), alt.Y2("high:Q"))
    return (bars + points).properties(height=300)
