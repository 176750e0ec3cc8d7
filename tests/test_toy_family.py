"""A family of a new kind of items, a data set and a page are added with one line each, and no other file is touched."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import items
from app.environment import DATA_DIR_VARIABLE
from app.shell import resources
from backend.build.precompute import build
from backend.catalog import write_spec
from backend.types import ModelSpec
from tests.pages.conftest import ROOT, Page
from tests.toy import model as toy
from tests.toy.boards import PIECES

MODEL = "board-coder"
BOARDS = 80
SPEC = ModelSpec(MODEL, "boards", "text", "Codes of boards", {"name": "boards"}, f"checkpoints/{MODEL}")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the toy model, built."""
    folder = tmp_path_factory.mktemp("boards")
    toy.save(toy.learn(toy.Boards(), 0), folder / "checkpoints" / MODEL)
    spec = write_spec(SPEC, folder)
    build(MODEL, folder, items=BOARDS, projection="pca", open_family=open_toy)
    spec.unlink()
    with duckdb.connect(str(next((folder / "builds").glob("*.duckdb")))) as store:
        store.execute("UPDATE facts SET value = '\"board\"' WHERE key = 'kind'")
    return folder


def open_toy(spec: ModelSpec, data_dir: Path) -> toy.BoardCoder:
    """What `build` is given as `open_family`."""
    return toy.open_coder(spec, data_dir / spec.checkpoint, "cpu", None)


@pytest.fixture
def open_page(data_dir, monkeypatch):
    """Runs a page of the app that has the toy page too."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(data_dir))
    monkeypatch.setitem(items.ITEM_VIEWS, "board", items.ANY)
    st.cache_data.clear()
    st.cache_resource.clear()

    def run(name: str, **parameters: object) -> Page:
        test = AppTest.from_file(str(ROOT / "tests" / "toy" / "main.py"), default_timeout=60)
        file = name if os.path.isabs(name) else str(ROOT / "pages" / name)
        test.switch_page(f"{file}.py")
        for key, value in parameters.items():
            test.query_params[key] = [str(v) for v in value] if isinstance(value, list) else str(value)
        return Page(test.run()).check()

    return run


def test_the_overview_lists_the_model(open_page):
    assert MODEL in open_page("overview").html


def test_the_codebooks_page_opens_on_a_meaningful_codebook(open_page):
    page = open_page("codebooks")
    assert page.test.query_params["model"] in (MODEL, [MODEL])
    assert f"of {MODEL} used over {BOARDS * 25:,} positions" in page.html
    assert "lowest entropy of labels" in page.html and page.html.count("chip c") > 20
    assert 'class="problem"' not in page.html


def test_the_page_of_a_code_shows_its_places_by_their_labels(open_page):
    best = resources.explorer().search(MODEL, "", field="piece", value="rook").codes.iloc[0]
    page = open_page("code", model=MODEL, site=best["site"], code=best["code"])
    assert 'class="problem"' not in page.html
    for title in (
        "Strongest",
        "At random",
        "At the boundary",
        "Labels under it",
        "Tags of its items",
        "Nearest vectors",
    ):
        assert title in page.html
    assert "Tokens under it" not in page.html and "Passages it covers" not in page.html
    strongest = page.html.split("At random")[0]
    assert "rook</span>" in strongest and f"lens?model={MODEL}&amp;item=" in strongest
    assert "<b>queen" not in page.html and "&lt;b&gt;queen" in page.html
    assert "of the labels under it" in page.html


def test_codes_are_searched_by_their_labels_and_by_other_codes(open_page):
    page = open_page("search", model=MODEL, field="piece", value="knight")
    found = resources.explorer().search(MODEL, "", field="piece", value="knight")
    assert f'<div class="v">{found.matches}</div>' in page.html and not page.test.text_input
    first = open_page("search", model=MODEL)
    assert "Which codes are chosen for positions with these labels?" in first.html and "For example:" in first.html
    page = open_page("search", model=MODEL, mode="codes", query=f"{found.codes['site'][0]}:{found.codes['code'][0]}")
    assert "knight</span>" in page.html and 'class="problem"' not in page.html


def test_an_item_is_shown_with_its_codes(open_page):
    page = open_page("lens", model=MODEL, item=3, place=7)
    assert "Position 7" in page.html and 'class="problem"' not in page.html
    board = toy.Boards().items(3, 4, 0)[0]
    assert str(board.labels["piece"][7]).replace("<", "&lt;").replace(">", "&gt;") in page.html


def test_a_page_is_a_file_and_a_line(open_page):
    page = open_page(str(ROOT / "tests" / "toy" / "boards_page"), model=MODEL)
    assert "Who leads?" in page.html and "white: " in page.html and "rows read in" in page.html
    assert f'<a data-nav="1" href="boards_page?model={MODEL}" class="here"' in page.html
    assert f"boards_page?model={MODEL}" in open_page("codebooks", model=MODEL).html


def test_pages_of_other_items_say_what_they_are_about(open_page):
    page = open_page("image_tokens", model=MODEL)
    assert f"{MODEL} reads board items" in page.html and "should not have" not in page.html
    assert len(PIECES) == 4
