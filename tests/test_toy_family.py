"""A family of a new kind of items, a data set and a page are added with one line each, and no other file is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import items
from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from backend.__main__ import main
from backend.data.datasets import SOURCES
from backend.explorer import Explorer
from backend.families import FAMILIES
from backend.families.kind import Request
from backend.jobs.doctor import examine
from backend.jobs.evaluate import evaluate
from tests.pages.conftest import ROOT, Page
from tests.toy import model as toy
from tests.toy.boards import PIECES

MODEL = "board-coder"
BOARDS = 80


@pytest.fixture(scope="module", autouse=True)
def lines() -> Iterator[None]:
    """The one line of each: family, data set, kind of items."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "boards", "tests.toy")
        patch.setitem(SOURCES, "boards", "tests.toy.boards")
        patch.setitem(items.ITEM_VIEWS, "board", items.ANY)
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the toy model, trained and built by the commands themselves."""
    folder = tmp_path_factory.mktemp("boards")
    assert main(["train", "boards", "--name", MODEL, "--evaluate", "2", "--data-dir", str(folder)]) == 0
    build = ["build", MODEL, "--items", str(BOARDS), "--projection", "pca", "--data-dir", str(folder)]
    assert main(build) == 0
    return folder


@pytest.fixture
def open_page(data_dir, monkeypatch):
    """Runs a page of the app that has the toy page too."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(data_dir))
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


def test_training_measures_and_keeps_what_was_measured(data_dir):
    metrics = Explorer(data_dir).metrics(MODEL).set_index("name")
    assert metrics.loc["utilization", "seeds"] == 2 and 0 < metrics.loc["utilization", "value"] <= 1
    again = evaluate(MODEL, data_dir, Request(2)).metrics()
    assert again["piece_accuracy"].value == pytest.approx(metrics.loc["piece_accuracy", "value"])
    assert again["piece_accuracy"].value > 0.5, "codes of cells tell pieces apart"


def test_the_model_is_listed_looked_at_live_and_in_order(data_dir, capsys):
    assert main(["models", "--json", "--data-dir", str(data_dir)]) == 0
    known = {row["model"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert known[MODEL]["family"] == "boards" and known[MODEL]["kind"] == "board" and known[MODEL]["built"]
    assert Explorer(data_dir).live(MODEL).codes_of(0).shape == (25, 1)
    assert [
        check for check in examine(data_dir, lambda stage, done, total: None) if MODEL in check.name and not check.ok
    ] == []


def test_what_the_family_has_no_door_for_is_said_in_a_sentence(data_dir, capsys):
    assert main(["steer", MODEL, "--prompt", "a", "--edit", "cell:1", "--data-dir", str(data_dir)]) == 2
    error = capsys.readouterr().err
    assert MODEL in error and "Traceback" not in error and "unexpectedly" not in error


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
