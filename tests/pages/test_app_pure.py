"""What needs no page: HTML is escaped, the invisible is seen, charts stay small, queries and progress are read."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

from app.components.code_map import map_data
from app.components.token_strip import token_data
from app.draw import charts, html
from app.overview import measures
from app.search import queries
from app.steer import edit_list
from backend.answers.stored import Clause, Example, Token
from backend.errors import BadInput, CodescopeError, UsageError
from backend.types import CodeRef
from tests.pages.conftest import ROOT

EVIL = '<img src=x onerror="alert(1)">'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a", "·a"),
        ("\n", "⏎"),
        ("\t\r", "⇥␍"),
        ("\x00\x1b\x7f", "␀␛␡"),
        ("\u202e", "U+202E"),
        ("\u200b", "U+200B"),
        (b"\xe2\x82".decode("utf-8", "surrogateescape"), "\\xe2\\x82"),
        ("größe日本", "größe日本"),
    ],
)
def test_what_cannot_be_seen_is_shown(text, shown):
    assert html.visible_text(text) == shown
    assert html.visible(text).striptags() == shown.strip()


@pytest.mark.parametrize(
    "made",
    [
        lambda: html.visible(EVIL),
        lambda: html.chip(CodeRef(EVIL, EVIL, 3), 4, EVIL),
        lambda: html.table([EVIL], [[EVIL]], caption=EVIL),
        lambda: html.stats([(EVIL, EVIL, EVIL)]),
        lambda: html.empty(EVIL, EVIL),
        lambda: html.section(EVIL, EVIL),
        lambda: html.page_title(EVIL, EVIL),
        lambda: html.pattern_error(EVIL, 3),
        lambda: html.visible_lines(EVIL),
        lambda: html.link(EVIL, EVIL, EVIL, EVIL, EVIL),
        lambda: html.token(Token(EVIL, EVIL, fires=True, score=0.5, labels={EVIL: EVIL}), 0.5),
        lambda: html.example(
            Example(1, 2, 3, [Token(EVIL)], Token(EVIL, labels={"f": EVIL}), [Token(EVIL, EVIL)], 0.5, 0.1),
            label=EVIL,
            where=EVIL,
        ),
    ],
)
def test_no_string_becomes_markup(made):
    found = str(made())
    assert "<img" not in found and "&lt;img" in found
    assert 'onerror="' not in found


def test_text_that_is_not_markup_is_escaped_when_it_is_put_together():
    assert html.wrap(Markup("") + EVIL).count("<img") == 0


def test_addresses_leave_out_what_is_empty_and_quote_the_rest():
    assert html.address("code", model="m", site="a/b", code=3, nothing=None) == "code?model=m&site=a/b&code=3"
    assert html.address("steer", edit=["L0.mlp:1@4..9", "x:2#1"]) == "steer?edit=L0.mlp:1@4..9&edit=x:2%231"
    assert html.address("search", pattern="a&b=c") == "search?pattern=a%26b%3Dc"


def test_a_code_of_many_is_added_and_one_of_few_is_forced():
    books = pd.DataFrame({"site": ["L0.mlp", "L1.mlp"], "slots": [8, 64]})
    assert str(edit_list.first_edit("L0.mlp", 7, books)) == "L0.mlp:7"
    assert str(edit_list.first_edit("L1.mlp", 7, books)) == "L1.mlp:7:+0.1"
    assert html.address("steer", edit="L0.mlp:7:+0.3").endswith("L0.mlp:7:%2B0.3")


def test_heads_of_one_layer_share_a_colour_and_neighbouring_places_differ():
    assert html.colour_of("L1.attn.h0") == html.colour_of("L1.attn.h3") != html.colour_of("L1.mlp")
    assert html.colour_of("L0.mlp") != html.colour_of("L1.mlp")


def test_small_shares_are_told_from_zero():
    assert [html.share(v) for v in (0, 0.5, 0.00012, 1e-9, float("nan"))] == [
        "0.0 %",
        "50.0 %",
        "0.012 %",
        "< 0.001 %",
        "–",
    ]


@pytest.mark.parametrize("codes", [1, 7, 300_000])
def test_charts_of_a_codebook_never_get_too_many_rows(codes):
    frame = pd.DataFrame({"count": np.random.default_rng(0).zipf(1.5, codes).clip(0, 10**7) - 1})
    assert len(charts.rank_frequency(frame, 10**6).data) <= 400
    histogram = charts.usage_histogram(frame).data
    assert histogram["codes"].sum() == codes and len(histogram) < 40


def test_use_of_held_out_items_is_drawn_beside_what_was_read_and_ends_later():
    metrics = pd.DataFrame(
        {
            "name": ["utilization", "utilization_at_5", "psnr", "utilization_ceiling", "utilization_at_1"],
            "value": [0.9, 0.5, 20.0, 1.0, 0.3],
            "n": [3200, 500, 8, 3200, 100],
        }
    )
    found = charts.held_out_use(metrics, 100)
    assert found["chosen"].tolist() == [100, 500, 3200] and found["share"].tolist() == [0.3, 0.5, 0.9]
    assert found["ceiling"].tolist() == pytest.approx([1 - np.exp(-1), 1 - np.exp(-5), 1 - np.exp(-32)])
    read = pd.DataFrame({"chosen": [50, 200], "codes": [20, 60], "share": [0.2, 0.6], "ceiling": [0.4, 0.86]})
    drawn = charts.utilization(read, found).data
    ends = drawn.groupby("line")["chosen"].max().to_dict()
    assert ends == {"read in this build": 200, "held out (model card)": 3200, "equally likely codes": 3200}
    alone = charts.utilization(read, charts.held_out_use(metrics[:0], 100)).data
    assert set(alone["line"]) == {"read in this build", "equally likely codes"}


def test_training_seeds_of_one_kind_are_one_row_of_a_comparison_with_only_what_was_measured():
    def row(model, value, seed):
        metric = {"value": value, "low": value, "high": value, "n": 32_768, "seeds": 3, "definition": "share <b>"}
        return {
            "model": model,
            "title": "FVQ",
            "training_seed": seed,
            "metrics": {"utilization": metric},
            "paper": {"utilization": 1.0},
        }

    text = str(measures.comparison_table({"table": "t", "rows": [row("fvq", 0.9, 0), row("fvq-seed1", 0.7, 1)]}))
    assert text.count("<tr>") == 2 and ">0.800</b>" in text and "2 training seeds" in text and "0.700 to 0.900" in text
    assert "Loss" not in text and "share &lt;b&gt;" in text and "1.000" in text


def test_every_measure_of_a_comparison_has_the_same_decimals_in_all_rows():
    def row(model, **values):
        metrics = {
            name: {"value": value, "low": value, "high": value, "n": 9, "seeds": 3, "definition": "d"}
            for name, value in values.items()
        }
        return {"model": model, "title": model, "metrics": metrics, "paper": {"lm_loss": 1.18}}

    rows = [
        row("a", lm_loss=1.1774, lm_loss_above_base=-0.0002, perplexity=11_630.4, psnr=23.9334, tokens_counted=8192),
        row("b", lm_loss=1.18, lm_loss_above_base=0.0004, perplexity=28.067, psnr=20.0, tokens_counted=131_072),
    ]
    text = str(measures.comparison_table({"table": "t", "rows": rows}))
    shown = re.findall(r'</?(?:b title="[^"]*"|span class="paper")>([^<]+)<', text)
    assert shown == [
        *("1.177", "1.180", "0.000", "8,192", "11,630.4", "23.93"),
        *("1.180", "1.180", "0.000", "131,072", "28.1", "20.00"),
    ]


def test_the_effect_chart_shows_the_largest_rises_and_falls():
    frame = pd.DataFrame({"token": [f"t{i}" for i in range(100)], "measured": np.linspace(-1, 1, 100), "linear": 0.0})
    shown = charts.effect(frame, most=3).data
    assert set(shown["token"]) == {"t0", "t1", "t2", "t97", "t98", "t99"} and len(shown) == 12


def test_the_map_marks_dead_codes_and_scales_positions():
    codes = pd.DataFrame(
        {
            "code": [0, 1, 2],
            "count": [10, 0, 1],
            "share": [0.1, 0, 0.01],
            "x": [0.0, np.nan, 4.0],
            "y": [1.0, np.nan, 3.0],
        }
    )
    grid = map_data(codes, "m", "s", layout="grid", labels={}, alt="a", positions=100)
    assert grid["count"] == [10, 0, 1] and "code" not in grid
    labels = {CodeRef("m", "s", 2): "two", CodeRef("m", "other", 0): "none of its"}
    flat = map_data(codes, "m", "s", layout="projection", labels=labels, alt="a", positions=100)
    assert flat["code"] == [0, 2] and flat["x"] == [0, 1] and flat["names"] == {"2": "two"}


def test_vectors_over_a_map_are_scaled_with_its_codes():
    codes = pd.DataFrame({"code": [0, 1], "count": [3, 2], "pca_x": [0.0, 1.0], "pca_y": [0.0, 4.0]})
    over = pd.DataFrame({"pos": [7], "pca_x": [2.0], "pca_y": [1.0]})
    data = map_data(codes, "m", "s", layout="pca", labels={}, alt="a", positions=5, outputs=over)
    assert data["x"] == [0, 0.5] and data["over_x"] == [1] and data["over_y"] == [0.25]


def test_a_token_for_the_browser_holds_nothing_invisible():
    data = token_data("\n\u202e", gap="\x00", tip="a\x1bb", strength=7)
    assert data == {"text": "⏎U+202E", "gap": "␀", "strength": 1.0, "tag": "", "tip": "a␛b"}


def test_queries_are_read():
    text = "L0.mlp:4 and L1.mlp:7 not L1.mlp:9 then3 L1.attn.h2:8"
    clauses = queries.parse(text)
    assert [c.operator for c in clauses] == ["and", "and", "and not", "then"] and clauses[3].within == 3
    assert [(c.site, c.code) for c in clauses] == [("L0.mlp", 4), ("L1.mlp", 7), ("L1.mlp", 9), ("L1.attn.h2", 8)]
    assert queries.parse("a:1 and not b:2") == [Clause("a", 1), Clause("b", 2, "and not")]


@pytest.mark.parametrize("text", ["", "and", "a:1 b:2", "a:1 and", "a", "a:1 or b:2"])
def test_a_query_that_cannot_be_read_is_explained(text):
    with pytest.raises(BadInput):
        queries.parse(text)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_white_on_a_primary_button_and_links_on_the_page_can_be_read(theme):
    colours = tomllib.loads((ROOT / "app" / "theme.toml").read_text())["theme"][theme]
    background = luminance(colours["backgroundColor"])
    for one, other in ((1.0, luminance(colours["primaryColor"])), (background, luminance(colours["linkColor"]))):
        assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5


def test_a_port_in_use_is_explained():
    import socket

    from app.__main__ import check_port

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CodescopeError, match="cannot be used"):
            check_port("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UsageError, match="not a port"):
        check_port("127.0.0.1", 0)
