"""Changes of token maps do what they say, in order, come back from their written form, and their footprint is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.edits.token_maps import Copy, Nearest, Paint, Swap, apply, footprint, nearest_codes, parse
from backend.errors import BadInput, UnknownCode

TABLE = np.array([[0.0], [1.0], [1.0], [4.0], [9.0]], dtype=np.float32)
MAP = np.array([[0, 1, 2], [3, 4, 0]], dtype=np.int32)


def changed(*texts, others=None):
    return apply([parse(text) for text in texts], {"vq": MAP}, {"vq": TABLE}, others)["vq"].tolist()


def test_each_change_does_what_it_says_and_leaves_the_given_map_alone():
    assert changed("vq:paint:4@0,4..5") == [[4, 1, 2], [3, 4, 4]]
    assert changed("vq:swap:0~3@all") == [[3, 1, 2], [0, 4, 3]]
    assert changed("vq:swap:0~3@0") == [[3, 1, 2], [3, 4, 0]]
    assert changed("vq:nearest:1@all") == [
        [1, 2, 1],
        [1, 3, 1],
    ]  # of 3 (4.0) the codes 1 and 2 are equally far: the lower
    assert changed("vq:nearest:2@0,3") == [[2, 1, 2], [2, 4, 0]]
    assert MAP.tolist() == [[0, 1, 2], [3, 4, 0]]


def test_changes_are_made_in_order_and_undone_by_leaving_out_the_last():
    stack = ["vq:paint:3@0", "vq:swap:3~4@all"]
    assert changed(*stack) == [[4, 1, 2], [4, 3, 0]]
    assert changed(*stack[:-1]) == [[3, 1, 2], [3, 4, 0]]
    assert changed() == MAP.tolist()


def test_a_region_is_copied_from_another_picture_and_cut_off_at_the_border():
    others = {"item.3": {"vq": np.array([[1, 2, 3], [4, 3, 2]])}}
    assert changed("vq:copy:item.3@0.0.2.2>0.1", others=others.__getitem__) == [[0, 1, 2], [3, 4, 3]]
    assert changed("vq:copy:item.3@0.1.1.3>1.2", others=others.__getitem__) == [[0, 1, 2], [3, 4, 2]]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("vq:paint:5@0", UnknownCode),
        ("rvq.1:paint:0@0", UnknownCode),
        ("vq:paint:0@6", BadInput),
        ("vq:swap:0~9@all", UnknownCode),
        ("vq:nearest:5@all", BadInput),
        ("vq:copy:item.3@0.0.1.1>0.0", BadInput),
        ("vq:paint:0", BadInput),
        ("vq:copy:item.3@2.0.1.1>0.0", BadInput),
        ("vq:paint:0@" + "9" * 30, BadInput),
        ("<img src=x>", BadInput),
    ],
)
def test_what_cannot_be_done_is_refused(text, error):
    with pytest.raises(error):
        changed(text)


CELLS = st.one_of(
    st.just("all"), st.lists(st.integers(0, 5000), min_size=1, unique=True).map(lambda c: tuple(sorted(c)))
)
CHANGES = st.one_of(
    st.builds(Paint, st.just("vq"), st.integers(0, 10**9 - 1), CELLS),
    st.builds(Swap, st.just("rvq.1"), st.integers(0, 999), st.integers(0, 999), CELLS),
    st.builds(Nearest, st.just("vq"), st.integers(1, 10**9 - 1), CELLS),
    st.builds(
        Copy,
        st.just("vq"),
        st.just("own.3f2a"),
        st.just((0, 1, 4, 9)),
        st.tuples(st.integers(0, 99), st.integers(0, 99)),
    ),
)


@given(CHANGES)
def test_a_change_comes_back_from_its_written_form(change):
    assert parse(str(change)) == change


def test_nearest_codes_agree_with_sorting_all_distances():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 5)).astype(np.float32)
    codes = rng.integers(0, 300, 40)
    distances = ((table[codes][:, None].astype(float) - table) ** 2).sum(-1)
    distances[np.arange(40), codes] = np.inf
    assert np.array_equal(nearest_codes(table, codes, 7), np.argsort(distances, axis=1, kind="stable")[:, :7])
    assert nearest_codes(table, np.array([-1]), 2).tolist() == [[-1, -1]]


def test_the_footprint_tells_inside_from_outside():
    before, after = {"vq": np.zeros((2, 3), int)}, {"vq": np.array([[5, 0, 0], [0, 0, 0]])}
    was = np.zeros((3, 4, 6), np.float32)
    now = was.copy()
    now[:, 0, 0] = 1.0  # inside: half the range on one of four pixels
    now[:, 3, 5] = 0.5  # two cells to the right
    found = footprint(before, after, was, now)
    assert found.edited.sum() == 1 and found.touched == 1 and found.reach == 2
    assert found.inside == pytest.approx(0.5 / 4) and found.outside == pytest.approx(0.25 / 20)
    assert found.outside_share == pytest.approx(1 / 3)


def test_without_a_change_there_is_no_share():
    same = {"vq": np.zeros((2, 2), int)}
    found = footprint(same, same, np.zeros((3, 4, 4)), np.zeros((3, 4, 4)))
    assert found.reach == 0 and np.isnan(found.outside_share) and np.isnan(found.inside)
