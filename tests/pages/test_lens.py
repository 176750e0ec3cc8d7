"""The Lens lists the codebook that colours the text first, and the others so that they can be read."""

from __future__ import annotations

import re

import pandas as pd

from app.lens import lens
from tests.pages.conftest import MODEL, data_dir, open_page  # noqa: F401  (fixtures)


def view(sites, slots):
    """One position at which every codebook chose codes 0, 1, 2, ..., the best first."""
    rows = [
        (0, site, slot, slot, 1 - slot / 100, 0.5, 400 + number)
        for number, site in enumerate(sites)
        for slot in range(slots)
    ]
    columns = ["place", "site", "slot", "code", "score", "margin", "runner_up"]
    return lens.View([], pd.DataFrame(rows, columns=columns))


def chips(shown):
    return re.findall(r'class="site">([^<]*)</span><span class="id">(\d+)', str(shown))


def test_the_coloured_codebook_stands_first_and_the_others_by_layer():
    sites = ["L0.attn.h0", "L0.attn.h1", "L0.mlp", "L1.attn.h0", "L1.mlp"]
    shown = str(lens.position_table(view(sites, 2), 0, "m", {}, "L1.attn.h0"))
    assert [site for site, _ in chips(shown)][:3] == ["L1.attn.h0"] * 3, "two choices and the runner-up"
    assert shown.index("Layer 0, 3 codebooks") < shown.index("L0.attn.h0") < shown.index("Layer 1, 1 codebook")
    assert shown.index("Layer 1, 1 codebook") < shown.index("L1.mlp")
    assert shown.count("<details open>") == 2, "a few codebooks need no click"


def test_many_codebooks_of_many_slots_are_no_wall_and_nothing_is_lost():
    sites = [f"L{layer}.attn.h{head}" for layer in range(3) for head in range(6)]
    shown = lens.position_table(view(sites, 64), 0, "m", {}, "L2.attn.h3")
    outside = re.sub(r"<details>.*?</details>", "", re.sub(r"<details>(?:(?!<details>).)*?</details>", "", str(shown)))
    assert len(chips(outside)) == lens.SHOWN + 1, "eight choices of one codebook and its runner-up"
    assert {(site, code) for site, code in chips(shown)} >= {(site, str(code)) for site in sites for code in range(64)}
    assert "and 56 more" in str(shown) and "and 61 more" in str(shown) and "<details open" not in str(shown)


def test_one_choice_behind_the_shown_ones_is_shown_and_empty_slots_are_dashes():
    shown = lens.position_table(view(["L0.mlp"], lens.SHOWN + 1), 0, "m", {}, "L0.mlp")
    assert "more" not in str(shown) and len(chips(shown)) == lens.SHOWN + 2
    empty = view(["L0.mlp"], 2)
    empty.codes.loc[1, "code"] = -1
    empty.codes.loc[:, "runner_up"] = -1
    assert str(lens.position_table(empty, 0, "m", {}, "L0.mlp")).count("–") == 2
    assert "No codebook chose" in str(lens.position_table(empty, 5, "m", {}))


def test_the_codes_of_a_text_are_folded_beyond_the_frequent_ones():
    many = lens.View([], pd.DataFrame({"site": "a", "code": list(range(300)) + [7]}))
    shown = str(lens.usage_chips(many, "a", "m", {}))
    assert chips(shown)[0] == ("a", "7") and len(chips(shown)) == lens.MOST_CODES
    assert f"and {lens.MOST_CODES - lens.OFTEN} more" in shown and "100 rarer ones" in shown


def test_the_page_lists_the_codebook_that_it_is_coloured_by(open_page):  # noqa: F811
    for site in ("L0.mlp", "L1.mlp"):
        page = open_page("lens", model=MODEL, item=3, place=5, site=site)
        assert f"tokens through {site}" in page.html and f"Chosen by {site}" in page.html
        assert page.html.index(f"Chosen by {site}") < page.html.index("<summary>Layer")
