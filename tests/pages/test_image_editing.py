"""Image tokens and Compare: what a click means, what the pages say, what an address brings back, and how soon an edit is seen."""

from __future__ import annotations

import re

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.components.token_map import map_data
from app.draw import pictures
from app.images import image_cells, image_source, image_tokens
from app.shell import address, resources
from app.shell.environment import DATA_DIR_VARIABLE
from backend.answers.live import TokenMap
from backend.edits.token_maps import Copy, Nearest, Paint, Swap, footprint
from backend.errors import BadInput
from tests.pages.conftest import ROOT, Page
from tests.pages.image_models import IMAGES, image_dir  # noqa: F401  (a fixture)

EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture
def data_dir(image_dir, monkeypatch):  # noqa: F811
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(image_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return image_dir


def shown(edited: bool) -> image_tokens.View:
    before = np.arange(4, dtype=np.int32).reshape(2, 2)
    after = before.copy()
    decoded = np.zeros((3, 8, 8), np.float32)
    changed = decoded.copy()
    if edited:
        after[0, 1] = 9
        changed[:, :4, 4:] = 0.5
    maps = {"vq": TokenMap(before[None], np.ones((1, 2, 2), np.float32), before[None] + 1)}
    foot = footprint({"vq": before}, {"vq": after}, decoded, changed)
    picture = image_source.Picture("test.3", EVIL, np.full((3, 8, 8), 0.25, np.float32))
    return image_tokens.View(picture, maps, {"vq": before}, {"vq": after}, decoded, changed, foot)


def test_strokes_of_one_code_become_one_change():
    made = image_tokens.added([Paint("vq", 5, (1, 2))], Paint("vq", 5, (2, 3)))
    assert [str(change) for change in made] == ["vq:paint:5@1..3"]
    assert len(image_tokens.added(made, Paint("vq", 6, (9,)))) == 2
    assert len(image_tokens.added([Swap("vq", 1, 2)], Swap("vq", 1, 2))) == 2


@pytest.mark.parametrize(
    ("tool", "box", "brush", "region", "written"),
    [
        ("paint", [0, 1, 2, 3], {"code": 7}, "", {"change": [str(Paint("vq", 7, (1, 2, 5, 6)))], "cell": 1}),
        ("look", [1, 2, 2, 3], {}, "", {"cell": 6}),
        ("swap", [1, 2, 2, 3], {"first": 1, "second": 2}, "", {"cell": 6}),
        ("swap", [0, 0, 1, 2], {"first": 1, "second": 2}, "", {"change": [str(Swap("vq", 1, 2, (0, 1)))]}),
        ("nearest", [0, 0, 1, 2], {"rank": 3}, "", {"change": [str(Nearest("vq", 3, (0, 1)))]}),
        ("copy", [0, 0, 2, 2], {"other": "item.5"}, "", {"change": [str(Copy("vq", "item.5", (0, 0, 2, 2), (0, 0)))]}),
        (
            "copy",
            [3, 3, 4, 4],
            {"other": "item.5"},
            "0.1.2.2",
            {"change": [str(Copy("vq", "item.5", (0, 1, 2, 2), (3, 3)))]},
        ),
    ],
)
def test_what_a_click_means(monkeypatch, tool, box, brush, region, written):
    monkeypatch.setattr(address, "many", lambda name, limit: [])
    monkeypatch.setattr(address, "text", lambda name, default, limit: region)
    assert image_tokens.picked({"pane": "original", "box": box}, tool, "vq", ["vq"], 4, brush) == written
    assert image_tokens.picked({"pane": "other", "box": box}, tool, "vq", ["vq"], 4, brush) == {
        "region": ".".join(map(str, box))
    }


def test_a_stroke_gives_its_cells_the_code_and_chooses_the_one_where_it_ended(monkeypatch):
    monkeypatch.setattr(address, "many", lambda name, limit: ["vq:paint:7@0"])
    stroke = {"pane": "original", "box": [0, 1, 3, 4], "cells": [11, 6, 1]}
    assert image_tokens.picked(stroke, "paint", "vq", ["vq"], 4, {"code": 7}) == {
        "change": ["vq:paint:7@0,1,6,11"],
        "cell": 1,
    }
    filled = image_tokens.picked({"pane": "original", "box": [0, 0, 2, 2]}, "fill", "vq", ["vq"], 4, {"code": 8})
    assert filled == {"change": ["vq:paint:7@0", "vq:paint:8@0,1,4,5"], "cell": 0}


def test_the_map_says_what_was_and_what_is():
    view = shown(edited=True)
    data = map_data(image_tokens.panes(view, None), image_tokens.cells(view, "vq", None, None), model="m", tool="look")
    assert data["edited"] == [1] and data["before"] == [0, 1, 2, 3] and data["after"] == [0, 9, 2, 3]
    assert [pane["id"] for pane in data["panes"]] == ["original", "decoded", "changed", "footprint"]
    assert data["counts"] == ["1"] * 4 and data["counted"] == "times in this picture"
    assert all(pane["url"].startswith("data:image/png;base64,") for pane in data["panes"])
    assert [pane.id for pane in image_tokens.panes(shown(edited=False), None)] == ["original", "decoded", "error"]


def test_the_figures_of_a_footprint_have_denominators():
    text = str(image_cells.footprint_figures(shown(edited=True).footprint))
    assert "25.0 %" in text and "of 4" in text and "0.0 %" in text


def test_colours_and_cells():
    assert pictures.heat(np.array([[0.0, 1.0, 9.0, np.nan]]), 1.0)[0].tolist()[1] == [252, 253, 191]
    assert pictures.by_cell(np.arange(16.0).reshape(4, 4), (2, 2)).tolist() == [[2.5, 4.5], [10.5, 12.5]]


def test_a_persons_size_is_a_doubling_of_the_trained_one():
    assert image_source.own_sizes(32, 4) == [32, 64, 128, 256] and image_source.default_size([32, 64, 128, 256]) == 128
    assert image_source.own_sizes(300, 16) == [288]
    with pytest.raises(BadInput, match="choose its file again"):
        image_source.picture(None, "own.0123456789abcdef", 64)


def run(name: str, **parameters: object) -> Page:
    test = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=120)
    test.switch_page(str(ROOT / "pages" / f"{name}.py"))
    for key, value in parameters.items():
        test.query_params[key] = [str(v) for v in value] if isinstance(value, list) else str(value)
    return Page(test.run()).check()


def test_the_page_of_image_tokens_says_what_changes_reach_and_offers_codes(data_dir):
    page = run("image_tokens", model=IMAGES, item=3, cell=9, change=["vq:paint:7@0..3", "vq:nearest:2@9"])
    assert 'role="alert"' not in page.html, page.html
    figures = re.search(r"cells edited</div><div class=\"v\">(\d+)</div><div class=\"d\">of 64", page.html)
    assert figures and 1 <= int(figures[1]) <= 5
    assert "there now" in page.html and "paint it here" in page.html and "Where most is lost" in page.html
    live, seed = resources.explorer().live(IMAGES), int(resources.explorer().facts(IMAGES)["seed"])
    tokens = live.encode(live.items(3, 4, seed)[0].payload[None])["vq"].codes[0]
    assert f"{IMAGES}/vq/{tokens[1, 1]}" in page.html and "the model&#39;s choice" in page.html


@pytest.mark.parametrize(
    "parameters",
    [
        {"change": "nonsense"},
        {"change": f"{EVIL}:paint:1@0"},
        {"change": "vq:paint:64@0"},
        {"change": "vq:copy:own.0123456789abcdef@0.0.1.1>0.0"},
        {"change": "vq:copy:item.5@0.0.99.99>0.0"},
        {"item": "-3"},
        {"source": "own", "own": EVIL},
        {"tool": "copy", "region": "1.2.x.4"},
        {"cell": "640"},
        {"site": "rvq.7"},
    ],
)
def test_a_bad_address_is_explained(data_dir, parameters):
    page = run("image_tokens", model=IMAGES, **parameters)
    assert "<img src=x" not in page.html and "should not have" not in page.html


def test_own_pictures_are_asked_for_again_by_their_hash(data_dir):
    for name in ("image_tokens", "compare"):
        page = run(name, source="own", own="596aa1e7cb875eb7", **({"model": IMAGES} if name == "image_tokens" else {}))
        assert "596aa1e7cb875eb7" in page.html and "stored" in page.html


def test_what_python_makes_of_the_view_is_what_the_page_decodes(data_dir):
    explorer = resources.explorer()
    live, where = explorer.live(IMAGES), str(resources.data_dir())
    made = [Paint("vq", 11, (3, 4)), Nearest("vq", 2, (9,)), Copy("vq", "test.5", (0, 0, 2, 3), (5, 5))]
    shown = image_source.picture(live, "item.2", 32)
    view = image_tokens.view(where, IMAGES, live, shown, made, lambda name: image_source.picture(live, name, 32))
    scope = {"explorer": explorer}
    exec("\n".join(image_tokens.as_python(IMAGES, shown, made, 0)), scope)
    assert np.array_equal(scope["tokens"]["vq"][0], view.after["vq"])
    assert np.allclose(scope["pixels"][0], view.changed, atol=1e-5)
    assert view.footprint.edited.sum() >= 8


@pytest.mark.parametrize("cell", [0, 27, 63])
def test_trying_many_codes_finds_one_at_least_as_good_and_says_what_is_lost_with_it(data_dir, cell):
    live, where = resources.explorer().live(IMAGES), str(resources.data_dir())
    shown = image_source.picture(live, "item.2", 32)
    view = image_tokens.view(where, IMAGES, live, shown, [], None)
    few, many = (image_cells.candidates(live, view, "vq", cell, widely) for widely in (False, True))
    assert many[0][2] <= few[0][2] and max(len(few), len(many)) <= image_cells.CANDIDATES + 3
    assert any(code == view.after["vq"].flat[cell] for code, _, _ in many)
    row, column = divmod(cell, 8)
    for code, _, error in many:
        tokens = view.after["vq"].copy()
        tokens[row, column] = code
        off = np.abs(live.decode({"vq": tokens[None]})[0] - shown.pixels) / 2
        window = off[:, max(0, row - 1) * 4 : (row + 2) * 4, max(0, column - 1) * 4 : (column + 2) * 4]
        assert error == pytest.approx(window.mean(), abs=1e-5)
