"""The pages about concepts and topics say what the store says, and their addresses show the same view again."""

from __future__ import annotations

import pytest
import streamlit as st

from app.draw import html
from app.search import concepts
from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from backend.explorer import Explorer
from backend.types import CodeRef
from tests.pages.conftest import open_page  # noqa: F401  (a fixture)
from tests.pages.story_models import ITEMS, STORIES, story_dir  # noqa: F401  (a fixture)


@pytest.fixture
def data_dir(story_dir, monkeypatch):  # noqa: F811
    """The pages of these tests look at the stories."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(story_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return story_dir


def first_row(page) -> str:
    return page.html.split("<tbody>")[1].split("</tr>")[0]


def test_the_concept_table_shows_the_best_code_of_every_label_value(open_page):  # noqa: F811
    page = open_page("concepts", model=STORIES)
    found = resources.explorer().concepts(STORIES)
    best = found.loc[found["f1"].idxmax()]
    assert f'<div class="v">{len(found):,}</div>' in page.html and len(found) > 20
    row = first_row(page)
    assert f"field={best['field']}&amp;value={best['value']}" in row and html.share(best["precision"]) in row
    assert f"code?model={STORIES}&amp;site={best['site']}&amp;code={best['code']}" in row
    assert "explorer.concepts(" in page.test.code[0].value


def test_concepts_can_be_restricted_sorted_and_compared_with_neurons(open_page):  # noqa: F811
    page = open_page("concepts", model=STORIES, field="pos", order="value", support=40, neurons=1)
    found = resources.explorer().concepts(STORIES, field="pos", min_support=40, neurons=True)
    assert f"value={found['value'].min()}" in first_row(page) and "Best neuron: precision" in page.html
    assert found["neuron"].str.contains("/").all() and "story topic" not in page.html.split("<tbody>")[1]
    for order in concepts.ORDERS:
        assert sorted(concepts.ordered(found, order)["value"]) == sorted(found["value"])
    assert "No concept is frequent enough" in open_page("concepts", model=STORIES, support=10**6).html
    assert "calendar =" in first_row(open_page("concepts", model=STORIES, find="CALENDAR"))


def test_a_passage_shows_the_codes_that_cover_it(open_page):  # noqa: F811
    page = open_page("search", model=STORIES, mode="passage", item=3, start=10, stop=40)
    best = resources.explorer().passage_codes(STORIES, 3, 10, 40).iloc[0]
    assert "30 of 96 tokens of item 3" in page.html
    assert f">{best['ref'].code}</span>" in first_row(page) and html.share(best["share"]) in first_row(page)
    assert page.html.split("Codes that cover it")[0].count('class="t fires"') == best["fires"] + _outside(best, 10, 40)


def _outside(best, start: int, stop: int) -> int:
    """Tokens of the item outside the passage at which its best code fires: shown too, but faint."""
    codes = resources.explorer().codes_of_item(STORIES, 3, [best["site"]])
    places = set(codes.loc[codes["code"] == best["ref"].code, "place"])
    return sum(not start <= place < stop for place in places)


def test_the_next_example_with_a_topic_code_is_one_click_away(open_page):  # noqa: F811
    page = open_page("search", model=STORIES, mode="passage", item=0, threshold=20)
    expected = resources.explorer().next_topic(STORIES, 0, 0.2)
    next(b for b in page.test.button if b.label.startswith("Next example")).click().run()
    page.check()
    assert expected is not None and page.test.query_params["item"] in (str(expected.item), [str(expected.item)])
    assert f"{html.share(expected.share)}</span>" in page.html
    page = open_page("search", model=STORIES, mode="passage", item=0, threshold=99)
    next(b for b in page.test.button if b.label.startswith("Next example")).click().run()
    assert "No code covers more than 99 %" in page.check().test.info[0].value


def test_the_passages_of_a_code_are_listed_with_its_tokens_marked(open_page):  # noqa: F811
    page = open_page("search", model=STORIES, mode="covered", site="L0.mlp", code=8)
    found = resources.explorer().covered_passages(CodeRef(STORIES, "L0.mlp", 8), n=12)
    assert f"12 of {found.items:,} items" in page.html and f"of {ITEMS:,} in the build" in page.html
    assert page.html.count('class="t fires"') == found.table["fires"].sum()
    assert "Choose a code" in open_page("search", model=STORIES, mode="covered").html
    assert "by that much" in open_page("search", model=STORIES, mode="covered", site="L0.mlp", code=8, share=100).html


def test_a_description_is_shown_on_the_code_page_and_kept_as_a_label(open_page, data_dir):  # noqa: F811
    explorer = Explorer(data_dir)
    kinds = explorer.descriptions(STORIES, "L0.mlp")
    for kind in ("token", "label"):
        code = int(kinds.loc[(kinds["kind"] == kind) & kinds["good"], "code"].iloc[0])
        ref = CodeRef(STORIES, "L0.mlp", code)
        found = explorer.describe(ref)
        assert found is not None
        page = open_page("code", model=STORIES, site="L0.mlp", code=code)
        assert "held-out activations" in page.html and html.share(found.precision) in page.html
        assert "Fires just before it" in page.html and "Fires just after it" in page.html
        next(b for b in page.test.button if b.label == "Keep as label").click().run()
        page.check()
        label = explorer.people.labels(ref)[0]
        assert label.text == concepts.claim(found) and label.build == explorer.build(STORIES)
        assert label.support and label.precision is not None and bool(label.pattern) == (kind == "token")
        assert any(b.label == "Kept as label" and b.disabled for b in page.test.button)


def test_the_codes_of_a_codebook_are_described_when_asked_for(open_page):  # noqa: F811
    page = open_page("codebooks", model=STORIES, site="L0.mlp")
    assert "What its codes fire on" not in page.html
    next(b for b in page.test.button if b.label == "Describe its codes").click().run()
    found = resources.explorer().descriptions(STORIES, "L0.mlp")
    shown = page.check().html.split("What its codes fire on")[1]
    assert len(found) > 10 and shown.count("<tr>") == len(found) + 1
    best = found.sort_values(["good", "precision", "n"], ascending=False).iloc[0]
    assert html.share(best["precision"]) in shown.split("<tbody>")[1].split("</tr>")[0]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"item": 10**6}, "Item"),
        ({"mark": "L0.mlp:9999"}, "no code"),
        ({"mark": "nonsense"}, "View"),
        ({"start": 500}, "passage"),
    ],
)
def test_nonsense_in_the_address_of_a_passage_is_explained(open_page, parameters, said):  # noqa: F811
    page = open_page("search", model=STORIES, mode="passage", **parameters)
    assert said.lower() in page.html.lower() and "should not have" not in page.html


def test_of_a_code_that_nothing_describes_well_nothing_is_claimed(open_page, data_dir):  # noqa: F811
    explorer = Explorer(data_dir)
    table = explorer.descriptions(STORIES, "L0.mlp")
    code = int(table.loc[~table["good"] & (table["n"] > 20), "code"].iloc[0])
    found = explorer.describe(CodeRef(STORIES, "L0.mlp", code))
    page = open_page("code", model=STORIES, site="L0.mlp", code=code)
    assert found is not None and "<b>No good description</b>" in page.html and found.objection in page.html
    assert "Fires on <b>" not in page.html and not any(b.label == "Keep as label" for b in page.test.button)


def test_a_control_is_shown_as_a_mean_with_its_range(open_page):  # noqa: F811
    row = resources.explorer().concepts(STORIES, field="pos").sort_values("f1", ascending=False).iloc[0]
    shown = first_row(open_page("concepts", model=STORIES, field="pos"))
    assert row["controls"] == 8 and row["control_low"] < row["control_precision"] < row["control_high"]
    for name in ("control_low", "control_precision", "control_high"):
        assert html.share(row[name]) in shown
    assert row["control"] in shown
    best = resources.explorer().search(STORIES, "and").codes.iloc[0]
    shown = first_row(open_page("search", model=STORIES, pattern="and"))
    assert html.share(best["control_low"]) in shown and html.share(best["control_high"]) in shown
