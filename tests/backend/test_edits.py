"""The one written form of edits: it comes back as it was, and cannot be made to take up memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.edits import MAX_PLACES, Edit
from backend.errors import BadInput

edits = st.builds(
    Edit,
    st.sampled_from(["L1.mlp", "L0.attn.h2", "layers.4.fc1/g2"]),
    st.integers(0, 10**6),
    st.sampled_from(["force", "ban", "zero"]),
    where=st.sampled_from(["all", "prompt", "generated", "generated:1", "generated:120"])
    | st.lists(st.integers(-30, 30), min_size=1, max_size=60).map(tuple),
    slot=st.none() | st.integers(0, 9),
)


@given(edits)
def test_an_edit_comes_back_from_its_written_form(edit: Edit) -> None:
    assert Edit.parse(str(edit)) == edit


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ((3,), "3"),
        ((3, 4), "3,4"),
        ((4, 5, 6, 7, 8, 9), "4..9"),
        ((3, 5, 6, 7, -3, -2, -1, 0), "3,5..7,-3..0"),
        ((9, 8, 7, 7), "9,8,7,7"),
        (tuple(range(MAX_PLACES)), f"0..{MAX_PLACES - 1}"),
    ],
)
def test_positions_in_a_row_are_written_as_a_range(where: tuple[int, ...], written: str) -> None:
    edit = Edit("L1.mlp", 7, where=where)
    assert str(edit) == f"L1.mlp:7@{written}"
    assert Edit.parse(str(edit)) == edit


@pytest.mark.parametrize("count", ["0", "007", "-1", "99999999", "1.5", ""])
def test_a_count_of_new_tokens_that_means_nothing_is_refused(count: str) -> None:
    with pytest.raises(BadInput, match="is not an edit"):
        Edit.parse(f"L1.mlp:7@generated:{count}")


def test_the_positions_of_all_ranges_together_are_limited() -> None:
    with pytest.raises(BadInput, match=f"{MAX_PLACES:,}"):
        Edit.parse(f"L1.mlp:7@0..{MAX_PLACES}")
    with pytest.raises(BadInput, match=f"{MAX_PLACES:,}"):
        Edit.parse("L1.mlp:7@" + ",".join(["0..60000"] * 3))
    with pytest.raises(BadInput, match="backwards"):
        Edit.parse("L1.mlp:7@9..4")
