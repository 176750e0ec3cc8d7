"""The one written form of edits: it comes back as it was, and cannot be made to take up memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.edits.codes import MAX_PLACES, SLOTTED, STRONGEST, Edit, first_generated
from backend.errors import BadInput

edits = st.builds(
    lambda *given, slot, **more: Edit(*given, **more, slot=slot if given[2] in SLOTTED else None),
    st.sampled_from(["L1.mlp", "L0.attn.h2", "layers.4.fc1/g2"]),
    st.integers(0, 10**6),
    st.sampled_from(["force", "ban", "zero", "add"]),
    where=st.sampled_from(["all", "prompt", "generated", "generated:1", "generated:120"])
    | st.lists(st.integers(-30, 30), min_size=1, max_size=60).map(tuple),
    slot=st.none() | st.integers(0, 9),
)


@given(edits)
def test_an_edit_comes_back_from_its_written_form(edit: Edit) -> None:
    assert Edit.parse(str(edit)) == edit


@given(st.integers(0, 1500))
def test_a_strength_comes_back_from_its_written_form(thousandths: int) -> None:
    strength = thousandths / 1000
    for edit in (Edit("a", 1, "add", strength), Edit("a", 1).with_strength(strength)):
        assert Edit.parse(str(edit)) == edit


@pytest.mark.parametrize("text", ["a:1:+", "a:1:+1.6", "a:1:++1", "a:1:+.", "a:1:+ban", "a:-1:x"])
def test_strengths_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not an edit|out of range|is not a strength"):
        Edit.parse(text)


@pytest.mark.parametrize("text", ["a:1:ban#2", "a:1:+0.3@prompt#0"])
def test_what_concerns_all_slots_names_none(text: str) -> None:
    with pytest.raises(BadInput, match="all slots. Leave out #"):
        Edit.parse(text)


def test_all_new_tokens_are_more_than_any_number_of_them() -> None:
    most = first_generated(Edit.parse("a:1@generated:9999999").where)
    assert most is not None and most < (first_generated("generated") or 0)


def test_a_share_of_an_edit_has_that_share_of_its_strength_and_no_more_than_can_be_written() -> None:
    assert str(Edit("a", 1, "add", 0.4).scaled(0.5)) == "a:1:+0.2"
    assert str(Edit("a", 1).scaled(0.5)) == "a:1:0.5" and Edit("a", 1).scaled(1.0) == Edit("a", 1)
    assert (
        Edit("a", 1, "add", 1.2).scaled(1.5).strength == STRONGEST and Edit("a", 1, "ban").scaled(0.5).action == "ban"
    )


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
    with pytest.raises(BadInput, match="is not a place. Write .* generated:40"):
        Edit.parse(f"L1.mlp:7@generated:{count}")
    assert first_generated(f"generated:{count}") is None


def test_the_positions_of_all_ranges_together_are_limited() -> None:
    with pytest.raises(BadInput, match=f"{MAX_PLACES:,}"):
        Edit.parse(f"L1.mlp:7@0..{MAX_PLACES}")
    with pytest.raises(BadInput, match=f"{MAX_PLACES:,}"):
        Edit.parse("L1.mlp:7@" + ",".join(["0..60000"] * 3))
    with pytest.raises(BadInput, match="backwards"):
        Edit.parse("L1.mlp:7@9..4")
