"""Image tokens at first sight: what it opens on, what it says in words, and what stays when another tokenizer is chosen."""

from __future__ import annotations

import re

import numpy as np
import pytest
import streamlit as st

from app.images import first_view, image_cells, image_editor, image_source, image_tokens, in_words
from app.shell import address, resources, session
from app.shell.environment import DATA_DIR_VARIABLE
from backend.edits.token_maps import Paint, footprint
from backend.types import CodeRef
from tests.pages.conftest import open_page  # noqa: F401  (a fixture)
from tests.pages.image_models import IMAGES, image_dir  # noqa: F401  (a fixture)


@pytest.fixture
def data_dir(image_dir, monkeypatch):  # noqa: F811
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(image_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return image_dir


@pytest.fixture
def view(data_dir):
    live, where = resources.explorer().live(IMAGES), str(resources.data_dir())
    return live, image_tokens.view(where, IMAGES, live, image_source.picture(live, "item.2", 32), [], None)


def test_it_opens_on_a_picture_in_which_the_most_meaningful_code_is_chosen_and_the_address_says_so(open_page):  # noqa: F811
    page = open_page("image_tokens", model=IMAGES)
    chosen = page.test.query_params
    explorer = resources.explorer()
    ref = first_view.best_code(explorer, IMAGES)
    item, cell = int(chosen["item"]), int(chosen["cell"])
    assert chosen["overlay"] == "codes" and explorer.token_map(IMAGES, item, "vq").reshape(-1)[cell] == ref.code
    lies = int((explorer.token_map(IMAGES, item, "vq") == ref.code).sum())
    assert f"Code <b>{ref.code}</b> lies on {lies} of the 64 cells of this picture" in page.html
    again = open_page("image_tokens", **dict(chosen))
    assert again.test.query_params == chosen


def test_the_most_meaningful_code_has_the_best_bounds_and_the_most_used_one_stands_in_where_nothing_is_known(data_dir):
    explorer = resources.explorer()
    known = explorer.concepts(IMAGES)
    worth = known["precision_low"] * known["recall_low"] ** 0.5
    assert known.loc[worth.idxmax(), "ref"] == first_view.best_code(explorer, IMAGES)

    class Unlabelled:
        concepts = staticmethod(lambda model: known.head(0))
        codebooks, codes = staticmethod(explorer.codebooks), staticmethod(explorer.codes)

    codes = explorer.codes(IMAGES, "vq")
    assert first_view.best_code(Unlabelled(), IMAGES) == CodeRef(IMAGES, "vq", int(codes["count"].idxmax()))


@pytest.mark.parametrize(
    "parameters", [{"cell": 9}, {"overlay": "error"}, {"change": "vq:paint:7@0"}, {"tool": "paint"}]
)
def test_an_address_that_names_anything_of_a_view_is_of_the_first_picture_as_before(open_page, parameters):  # noqa: F811
    page = open_page("image_tokens", model=IMAGES, **parameters)
    assert "item" not in page.test.query_params
    first = resources.explorer().picture(IMAGES, 0)
    assert first.shape == (32, 32, 3) and 'role="alert"' not in page.html


def test_what_a_code_draws_is_measured_by_putting_the_runner_up_in_its_place(view):
    live, shown = view
    code = int(shown.after["vq"].flat[0])
    found = in_words.without(live, shown, "vq", code)
    there = shown.after["vq"] == code
    tokens = np.where(there, shown.chosen["vq"].runner_up[0], shown.after["vq"])
    other = live.decode({"vq": tokens[None]})[0]
    expected = footprint({"vq": shown.after["vq"]}, {"vq": tokens}, shown.decoded, other)
    assert np.array_equal(found.edited, there) and found.outside_share == pytest.approx(expected.outside_share)
    said = str(in_words.without_it(found))
    assert f"{100 * found.outside_share:.1f} %</b> of all change lies outside" in said
    assert f"in {found.touched} other cell" in said and f"up to {found.reach} cell" in said


def test_without_changes_nothing_is_said_of_changes_and_small_ones_are_said_in_words(view):
    _, shown = view
    assert in_words.your_changes(shown.footprint) == ""
    before, after = {"vq": np.zeros((2, 2), int)}, {"vq": np.array([[5, 0], [0, 0]])}
    was, now = np.zeros((3, 4, 4), np.float32), np.zeros((3, 4, 4), np.float32)
    now[:, :2, :2] = 1
    text = str(in_words.your_changes(footprint(before, after, was, now)))
    assert (
        text
        == "Your changes of 1 cell change the picture by 50.0 % of the range in them and nowhere else by 1/255 or more."
    )


def test_nothing_is_claimed_of_a_code_that_nothing_describes_well(data_dir):
    described = resources.explorer().describe(first_view.best_code(resources.explorer(), IMAGES))
    assert str(in_words.code_here(3, 2, 64, None)).endswith("outlined above. ")
    for low, claimed in ((0.2, False), (0.8, True)):
        said = str(in_words.code_here(3, 2, 64, type(described)(**{**vars(described), "low": low})))
        assert ("held-out cells" in said) == claimed and ("describes it well" in said) != claimed


def test_both_errors_of_a_cell_have_a_name_and_a_definition_and_agree_with_the_map(view, monkeypatch):
    live, shown = view
    monkeypatch.setattr(address, "parameters", dict)
    for cell in (0, 27):
        found = image_cells.candidates(live, shown, "vq", cell, False)
        table = str(image_cells.candidate_table(found, shown, "vq", cell, [], IMAGES, None, {}))
        assert "Cell error" in table and "Error of 3 x 3 cells" in table and "Error around it" not in table
        assert in_words.CELL_ERROR in table and in_words.AROUND_ERROR in table
        here = next(row for row in table.split("<tr>") if "there now" in row)
        error = float(image_tokens.errors(shown, "vq").flat[cell])
        around = next(lost for code, _, lost in found if code == shown.after["vq"].flat[cell])
        assert [float(n) for n in re.findall(r">([\d.]+) %<", here)] == [
            pytest.approx(100 * error, abs=0.006),
            pytest.approx(100 * around, abs=0.006),
        ]


def test_where_no_cell_is_chosen_two_are_offered(view, monkeypatch):
    _, shown = view
    monkeypatch.setattr(address, "parameters", lambda: {"model": [IMAGES], "item": ["2"]})
    (worst, _), (common, words) = image_cells.to_choose(shown, "vq")
    assert worst.endswith(f"cell={int(image_tokens.errors(shown, 'vq').argmax())}")
    codes = shown.after["vq"].reshape(-1)
    most = np.bincount(codes).argmax()
    assert codes[int(common.rsplit("=", 1)[1])] == most and f"code {most}, which lies on" in words


def test_what_lies_over_the_picture_has_a_pane_of_its_own_beside_it(view):
    _, shown = view
    plain, over = image_tokens.panes(shown, None), image_tokens.panes(shown, None, "Codes")
    assert [pane.id for pane in over] == ["original", "map", "decoded", "error"]
    assert [pane.overlay for pane in over] == [False, True, False, False] and not any(pane.overlay for pane in plain)


def test_the_same_place_of_a_picture_is_found_where_it_is_cut_into_other_cells():
    assert image_source.same_place(9, 8, 8) == 9
    assert image_source.same_place(9, 8, 16) == 2 * 16 + 2  # row 1, column 1 of 8 begins at row 2, column 2 of 16
    assert image_source.same_place(34, 16, 8) == 9 and image_source.same_place(255, 16, 8) == 63


def test_another_tokenizer_that_cuts_the_picture_otherwise_keeps_the_place_and_an_address_means_what_it_says(
    monkeypatch,
):
    parameters, kept = {"cell": "9"}, {}
    monkeypatch.setattr(address, "text", lambda name, default, limit: parameters.get(name, default))
    monkeypatch.setattr(address, "write", parameters.update)
    monkeypatch.setattr(session, "kept", lambda name, default: kept.get(name, default))
    monkeypatch.setattr(session, "keep", kept.__setitem__)
    own = image_source.Picture("own.01", "me.png", np.zeros((3, 64, 64), np.float32))
    other = image_source.Picture("item.3", "item 3", np.zeros((3, 64, 64), np.float32))

    def show(model: str, cell: int, picture: image_source.Picture = own) -> str:
        image_editor.keep_place(model, type("Live", (), {"cell": cell}), picture)
        return parameters["cell"]

    assert show("a", 8) == "9" and show("b", 4) == "34" and show("a", 8) == "9"
    parameters["cell"] = "20"  # a link names another cell and another model at once
    assert show("b", 4) == "20" and show("a", 8, other) == "20"


def test_with_another_tokenizer_picture_cell_tool_and_look_stay_and_changes_go(open_page):  # noqa: F811
    assert {"source", "item", "own", "size", "cell", "tool", "overlay", "lines"} <= set(image_source.KEEPS)
    assert not {"change", "code", "site", "region"} & set(image_source.KEEPS)  # they are of one table of codes


def test_no_picture_of_ones_own_is_met_with_two_others(open_page):  # noqa: F811
    page = open_page("image_tokens", model=IMAGES, source="own")
    assert "Choose a picture." in page.html
    assert f'href="image_tokens?model={IMAGES}"' in page.html and "source=test&amp;item=7" in page.html


def test_python_prints_the_tokens_of_the_page(data_dir, capsys):
    explorer = resources.explorer()
    shown = image_source.picture(explorer.live(IMAGES), "item.2", 32)
    exec("\n".join(image_tokens.as_python(IMAGES, shown, [Paint("vq", 11, (0, 1))], 0)), {"explorer": explorer})
    printed = capsys.readouterr().out
    assert printed.startswith("vq\n[[11 11 ")
