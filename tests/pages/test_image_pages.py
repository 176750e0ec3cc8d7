"""Codes of images on the reading pages: patches that lead to their pictures, exact counts, and searches by labels."""

from __future__ import annotations

import re

import pytest
import streamlit as st

from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from backend.errors import BadInput
from backend.explorer import Explorer
from backend.types import CodeRef
from tests.pages.conftest import open_page  # noqa: F401  (a fixture)
from tests.pages.image_models import CODES, IMAGES, ITEMS, image_dir  # noqa: F401  (a fixture)

REF = CodeRef(IMAGES, "vq", 5)


@pytest.fixture
def data_dir(image_dir, monkeypatch):  # noqa: F811
    """The pages of these tests look at the pictures."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(image_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return image_dir


def test_the_code_page_shows_patches_that_lead_to_their_pictures(open_page):  # noqa: F811
    page = open_page("code", model=IMAGES, site="vq", code=5, n=6)
    explorer = resources.explorer()
    for how in ("random", "top", "boundary"):
        for patch in explorer.patches(REF, how, n=6):
            assert f"image_tokens?model={IMAGES}&amp;item={patch.item}&amp;cell={patch.place}" in page.html
    assert page.html.count("data:image/png;base64,") >= 18
    for title in (
        "At random",
        "Nearest",
        "At the boundary",
        "Where in the picture",
        "Nearest codes",
        "Tags of its pictures",
    ):
        assert title in page.html
    assert f"of {ITEMS * 64:,} positions" in page.html and "of the labels under it" in page.html
    assert "Passages it covers" not in page.html and "Tokens under it" not in page.html


def test_the_code_page_decodes_the_code_alone_and_among_neighbours(open_page):  # noqa: F811
    page = open_page("code", model=IMAGES, site="vq", code=5, n=6)
    assert "put into other pictures" in page.html and "a picture of this code alone" in page.html


def test_a_model_that_cannot_be_loaded_leaves_the_rest_of_the_page(open_page, monkeypatch):  # noqa: F811
    def broken(self, model):
        raise BadInput("The weights are gone.")

    monkeypatch.setattr(Explorer, "live", broken)
    page = open_page("code", model=IMAGES, site="vq", code=5)
    assert "The weights are gone." in page.html and "At random" in page.html


def test_the_heat_map_has_one_cell_a_grid_cell_that_says_its_count(open_page):  # noqa: F811
    page = open_page("code", model=IMAGES, site="vq", code=5)
    said = {
        (int(r), int(c)): int(n.replace(",", ""))
        for r, c, n in re.findall(r"row (\d+), column (\d+): ([\d,]+) \(", page.html)
    }
    counts = resources.explorer().code_places(REF)
    assert said == {(r, c): int(counts[r, c]) for r in range(8) for c in range(8)}


@pytest.mark.parametrize("layout", ["grid", "pca"])
def test_the_codebooks_page_shows_how_the_codebook_fills_up(open_page, layout):  # noqa: F811
    page = open_page("codebooks", model=IMAGES, map=layout)
    last = resources.explorer().utilization(IMAGES, "vq").iloc[-1]
    assert f"{int(last.codes)} of {CODES} after T = {ITEMS * 64:,}" in page.html
    assert ("2,000 vectors that were compared with them" in page.html) == (layout == "pca")
    assert page.html.count("patch of code") >= 40


def test_codes_are_searched_by_several_labels(open_page):  # noqa: F811
    page = open_page("search", model=IMAGES, also=["object=disc", "color=red"], support=1)
    found = resources.explorer().search(IMAGES, "", also=[("object", "disc"), ("color", "red")], min_support=1)
    assert f'<div class="v">{found.matches}</div>' in page.html
    assert f">{found.codes['code'].iloc[0]}</span>" in page.html.split("<tbody>")[1].split("</tr>")[0]
    assert not page.test.text_input  # there is no text to match a pattern with


def test_a_pattern_left_from_a_model_of_text_does_not_hide_the_search_by_labels(open_page):  # noqa: F811
    page = open_page("search", model=IMAGES, pattern="fish")
    assert "Choose a label." in page.html and "cannot be shown" not in page.html


def test_a_tag_from_the_code_page_can_be_searched(open_page):  # noqa: F811
    page = open_page("search", model=IMAGES, field="item:class", value="disc", support=1)
    assert "Best codes by" in page.html and not page.test.warning


def test_a_query_of_codes_shows_patches(open_page):  # noqa: F811
    page = open_page("search", model=IMAGES, mode="codes", query="vq:5")
    assert "patch of item" in page.html


@pytest.mark.parametrize("also", ["nonsense=red", "item:nonsense=red", "object=<script>alert(1)</script>"])
def test_nonsense_among_the_labels_is_explained(open_page, also):  # noqa: F811
    page = open_page("search", model=IMAGES, also=also)
    assert "<script" not in page.html and "Traceback" not in page.html
    assert "This view cannot be shown" in page.html or "No code fires there often enough" in page.html


def test_overview_and_lists_show_the_model(open_page, data_dir):  # noqa: F811
    assert IMAGES in open_page("overview").html
    people = Explorer(data_dir).people
    people.add_label(REF, "green things", "Ada")
    assert "green things" in open_page("lists").html
