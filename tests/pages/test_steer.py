"""The Steer page: edits in the address, the same seed on both sides, exact marks, and nobody sees another's edits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import get_args

import pytest
import streamlit as st

from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from app.steer import edit_list, steer_measure, steering
from app.steer.steering import Kept, Pair, Written
from backend.edits.codes import Action
from backend.explorer import Explorer
from backend.types import CodeRef, Edit, Sampling
from tests.backend import tiny_store
from tests.pages.conftest import MODEL, open_page  # noqa: F401  (a fixture)
from tests.pages.machine_models import CODED, MACHINE, PLAIN, machine_dir  # noqa: F401  (a fixture)

PROMPT = "01 02"
SHORT = Sampling(samples=2, max_new_tokens=12)


@pytest.fixture
def data_dir(machine_dir, monkeypatch):  # noqa: F811
    """The pages of these tests look at the machines."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(machine_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return machine_dir


@pytest.fixture(scope="session")
def live(machine_dir):  # noqa: F811
    return Explorer(machine_dir).live(CODED)


@pytest.fixture
def codebooks(machine_dir):  # noqa: F811
    return Explorer(machine_dir).codebooks(CODED)


def edits_of(page):
    found = page.check().test.query_params["edit"]
    return [found] if isinstance(found, str) else list(found)


def text(ids, prompt_length=5):
    return Written(tuple(ids), tuple((" ", str(i)) for i in ids), prompt_length, " ".join(map(str, ids)))


# ---- edits


def test_changing_one_part_of_an_edit_leaves_the_others():
    edit = Edit("L0.mlp", 3, where=(4, -1), slot=1)
    assert edit_list.with_action(edit, "ban") == replace(edit, action="ban", slot=None)
    blended = edit_list.with_action(edit, "blend")
    assert blended.action == "blend" and blended.strength == 0.8 and Edit.parse(str(blended)) == blended
    assert blended.with_strength(1.0) == edit
    assert edit_list.with_action(edit, "zero").with_strength(0.5).action == "zero"
    added = edit_list.with_action(blended, "add")
    assert str(added) == "L0.mlp:3:+0.8@4,-1" and added.with_strength(1.0).action == "add"
    assert (
        edit_list.with_place(edit, "2..4").where == (2, 3, 4) and edit_list.with_place(edit, "prompt").where == "prompt"
    )


def test_strengths_move_in_proportion_and_alike_where_none_is_left():
    edits = [Edit("L0.mlp", 3, "add", 0.4), Edit("L0.mlp", 5, "add", 0.1), Edit("L0.mlp", 7, "ban")]
    doubled = edit_list.in_proportion(edits, 0.8)
    assert list(map(str, doubled)) == ["L0.mlp:3:+0.8", "L0.mlp:5:+0.2", "L0.mlp:7:ban"]
    faint = edit_list.in_proportion([Edit("L0.mlp", 3), Edit("L0.mlp", 5, "add", 0.04)], 0.01)
    assert edit_list.in_proportion(faint, 1.0)[1].strength == pytest.approx(0.04)
    off = edit_list.in_proportion([Edit("L0.mlp", 3), Edit("L0.mlp", 5)], 0.0)
    assert [e.strength for e in off] == [0, 0]
    assert [e.action for e in edit_list.in_proportion(off, 1.0)] == ["force", "force"]


def test_every_edit_of_the_list_survives_the_address():
    for action in get_args(Action):
        for place in ("all", "prompt", "generated", "3,-1"):
            edit = edit_list.with_place(edit_list.with_action(Edit("L0.attn.h1", 7), action), place)
            assert Edit.parse(str(edit)) == edit


def test_edits_that_do_not_exist_are_named(codebooks):
    asked = [Edit("L0.mlp", 3), Edit("L7.mlp", 3), Edit("L0.mlp", 32), Edit("L0.mlp", 1, slot=2), Edit("L0.mlp", -1)]
    good, wrong = edit_list.known(asked, codebooks)
    assert good == [asked[0], asked[4]] and len(wrong) == 3
    assert "no codebook L7.mlp" in wrong[0] and "0 to 31" in wrong[1] and "2 slots" in wrong[2]


def test_a_finished_text_has_the_edits_at_absolute_positions():
    edits = [Edit("a", 1, where="prompt"), Edit("a", 2, where="generated"), Edit("a", 3), Edit("a", 4, where=(-1, 7))]
    pinned = edit_list.pinned(edits, 3, 6)
    assert [e.where for e in pinned] == [(0, 1, 2), (3, 4, 5), "all", (2, 7)]


def test_reading_a_generated_text_again_gives_the_codes_that_were_forced_while_writing_it(live):
    edits = [Edit("L0.attn.h0", 3, where="generated")]
    made = live.generate(PROMPT, Sampling(max_new_tokens=8, seed=1), edits=edits)[0]
    own = steering.written(live, made)
    found = steering.footprint(live, own, edits)
    codes = found.grids["L0.attn.h0"].codes[:, 0]
    assert (codes[own.prompt_length :] == 3).all()
    assert (codes[: own.prompt_length] == found.before["L0.attn.h0"].codes[: own.prompt_length, 0]).all()


# ---- what differs


def test_changed_tokens_are_those_of_the_new_text_that_differ():
    assert steering.differing(text([9, 1, 2, 3, 4, 5, 6]), text([9, 0, 2, 3, 4, 5, 7])) == [False] * 6 + [True]
    assert steering.differing(text([9, 1, 2, 3, 4, 5, 6]), text([9, 1, 2, 3, 4, 5])) == [False] * 6 + [True]


def test_steps_are_checked_against_the_machine_one_by_one(live):
    made = live.generate(PROMPT, Sampling(20, 11, seed=3), edits=[Edit("L0.mlp", 3)])
    valid = total = 0
    for one in made:
        digits = "".join(one.text.replace("<bos>", "").split())
        states = [int(digits[i : i + 2], 3) for i in range(0, len(digits) - 1, 2)]
        steps = list(zip(states, states[1:], strict=False))[1:]  # the first is the prompt's own
        good = [b in MACHINE.successors[a].tolist() for a, b in steps]
        marks, v, t = steering.wrong_steps(MACHINE, steering.written(live, one))
        assert (v, t) == (sum(good), len(good))
        assert sum(marks) == 2 * (t - v)
        valid, total = valid + v, total + t
    assert steering.valid_share(MACHINE, made) == (valid, total) and total > valid > 0


def test_text_of_a_model_is_shown_and_never_run():
    evil = "<script>alert(1)</script>"
    own = Written((1, 2), (("", evil), (" ", "\n")), 1, evil)
    shown = str(steering.text_html(own, replace(own, ids=(1, 3)), None))
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "⏎" in shown


# ---- generating


def test_the_two_sides_are_what_the_model_writes_with_and_without_the_edits(live):
    edits = [Edit("L0.mlp", 3, "blend", 0.7)]
    steps = list(steering.stream_pair(live, PROMPT, edits, SHORT))
    assert len(steps) == 12 and all(len(s.plain) == len(s.steered) == 2 for s in steps)
    assert [w.ids for w in steps[-1].plain] == [g.tokens for g in live.generate(PROMPT, SHORT)]
    assert [w.ids for w in steps[-1].steered] == [g.tokens for g in live.generate(PROMPT, SHORT, edits=edits)]
    assert "".join(gap + token for gap, token in steps[-1].plain[0].texts) == steps[-1].plain[0].text


def test_ten_people_at_once_see_only_their_own_edits(live):
    def one(number: int) -> Pair:
        *_, last = steering.stream_pair(live, PROMPT, [Edit("L0.mlp", number), Edit("L0.attn.h0", number)], SHORT)
        return last

    alone = [one(number) for number in range(10)]
    assert len({pair.steered for pair in alone}) > 3 and len({pair.plain for pair in alone}) == 1
    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(one, range(10))) == alone
        footprints = list(
            pool.map(lambda n: steering.footprint(live, alone[n].plain[0], [Edit("L0.mlp", n)]), range(10))
        )
    assert all((found.grids["L0.mlp"].codes == n).all() for n, found in enumerate(footprints))


def test_what_is_kept_is_bounded():
    kept = Kept(3)
    for number in range(5):
        assert kept.answer(number, lambda n=number: n + 100) == number + 100
    assert kept.get(0) is None and kept.get(4) == 104 and kept.answer(4, lambda: 0) == 104


# ---- the page


def test_the_page_shows_both_texts_and_counts_valid_steps(open_page):  # noqa: F811
    page = open_page("steer", model=CODED, edit="L0.mlp:3", prompt=PROMPT, samples=2, new=12)
    live = resources.explorer().live(CODED)
    plain = live.generate(PROMPT, SHORT)
    steered = live.generate(PROMPT, SHORT, edits=[Edit("L0.mlp", 3)])
    for made in (plain, steered):
        valid, total = steering.valid_share(MACHINE, made)
        assert f"{valid:,} of {total:,} new transitions" in page.html
    changed = sum(a != b for p, s in zip(plain, steered, strict=True) for a, b in zip(p.tokens, s.tokens, strict=True))
    assert f">{changed}<" in page.html and "of 24 new ones" in page.html
    assert "What the edits change" in page.html and "Success" not in page.html


def test_without_an_edit_the_page_says_how_to_come_by_one(open_page):  # noqa: F811
    page = open_page("steer", model=CODED)
    assert "Add an edit." in page.html and "Unsteered" not in page.html


def test_an_edit_is_added_and_taken_away_in_the_address(open_page):  # noqa: F811
    page = open_page("steer", model=CODED, edit=["L0.mlp:3", "L0.mlp:5:0.5@generated"], new=4, prompt=PROMPT)
    [b for b in page.test.button if b.label == "Remove"][0].click()
    page.test.run()
    assert edits_of(page) == ["L0.mlp:5:0.5@generated"]
    number = [n for n in page.test.number_input if n.label.startswith("Code, 0 to")][0]
    number.set_value(9).run()
    [b for b in page.test.button if b.label == "Add edit"][0].click().run()
    assert edits_of(page) == ["L0.mlp:5:0.5@generated", "L0.mlp:9"]


def test_strength_action_and_place_are_changed_in_the_address(open_page):  # noqa: F811
    page = open_page("steer", model=CODED, edit="L0.mlp:3", new=4, prompt=PROMPT)
    [s for s in page.test.slider if s.label == "Strength"][0].set_value(0.4).run()
    assert edits_of(page) == ["L0.mlp:3:0.4"]
    [s for s in page.test.selectbox if s.label == "Where"][0].set_value("positions").run()
    assert edits_of(page) == ["L0.mlp:3:0.4@-1"]
    [s for s in page.test.text_input if s.label == "Positions"][0].set_value("1..3").run()
    assert edits_of(page) == ["L0.mlp:3:0.4@1..3"]
    [s for s in page.test.selectbox if s.label == "Action"][0].set_value("ban").run()
    assert edits_of(page) == ["L0.mlp:3:ban@1..3"]


def test_one_slider_changes_the_strength_of_all_edits(open_page):  # noqa: F811
    page = open_page("steer", model=CODED, edit=["L0.mlp:3", "L0.attn.h0:5", "L0.mlp:7:ban"], new=4, prompt=PROMPT)
    [s for s in page.test.slider if s.label == "Strength of all 2"][0].set_value(0.5).run()
    assert edits_of(page) == ["L0.mlp:3:0.5", "L0.attn.h0:5:0.5", "L0.mlp:7:ban"]


def test_measuring_shows_all_three_conditions_with_counts(open_page):  # noqa: F811
    asked = {"edit": "L0.mlp:3", "prompt": PROMPT, "new": 8, "n": 10, "success": "0", "measure": 1}
    page = open_page("steer", model=CODED, **asked)
    found = resources.explorer().live(CODED).compare(PROMPT, [Edit("L0.mlp", 3)], Sampling(10, 8), success="0")
    for arm in (found.unsteered, found.steered, found.control):
        assert f"{arm.hits} of 10" in page.html and f"{arm.perplexity:.3f}" in page.html
    assert "random codes (control)" in page.html and "95 % interval" in page.html
    table = steer_measure.arm_table([found.unsteered, found.steered, found.control], MACHINE)
    assert list(table["n"]) == [10, 10, 10] and (table["steps"] == 10 * 4).all()


@pytest.mark.parametrize(
    "nonsense",
    [
        {"edit": "what"},
        {"edit": "L0.mlp:3:9"},
        {"edit": "L9.mlp:3"},
        {"edit": "L0.mlp:3", "prompt": "<b>no walk</b>"},
        {"edit": "L0.mlp:3", "prompt": "01 " * 40},
        {"edit": "L0.mlp:3", "temperature": "hot"},
        {"edit": "L0.mlp:3", "samples": "1000000"},
        {"edit": "L0.mlp:3", "prompt": PROMPT, "new": 4, "measure": "1", "success": "(", "n": 2},
        {"edit": ["L0.mlp:3"] * 201},
    ],
)
def test_nonsense_in_the_address_is_explained(open_page, nonsense):  # noqa: F811
    page = open_page("steer", model=CODED, **nonsense)
    assert "should not have" not in page.html and "<b>no walk" not in page.html
    assert page.test.warning or 'class="problem"' in page.html or "Left out:" in page.html


def test_a_prompt_that_is_too_long_is_cut_and_said(open_page):  # noqa: F811
    page = open_page("steer", model=CODED, edit="L0.mlp:3", prompt="0" * 30_000)
    assert any("20,000" in w.value for w in page.test.warning) and 'class="problem"' in page.html


def test_a_prompt_that_is_pasted_and_too_long_is_cut_and_said(open_page):  # noqa: F811
    page = open_page("steer", model=CODED)
    page.test.text_area[0].set_value("01 " * 10_000).run()
    assert [w.value for w in page.test.warning] == [
        "The prompt has 30,000 characters; only the first 20,000 are taken."
    ]
    assert len(page.test.text_area[0].value) == 20_000
    assert "prompt" not in page.test.query_params


def test_models_that_cannot_be_steered_lead_to_those_that_can(open_page):  # noqa: F811
    page = open_page("steer", model=PLAIN)
    assert "cannot be steered" in page.html or "is a plain model without codebooks" in page.html
    assert f"steer?model={CODED}" in page.html


def test_a_model_without_the_capability_is_explained(tmp_path, monkeypatch, open_page):  # noqa: F811
    tiny_store.make(tmp_path, items=30)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    st.cache_resource.clear()
    assert "cannot be steered" in open_page("steer", model=MODEL).html


def test_the_code_page_leads_here_with_its_edit(open_page):  # noqa: F811
    code = int(resources.explorer().codes(CODED, "L0.mlp").nlargest(1, "count")["code"].iloc[0])
    page = open_page("code", model=CODED, site="L0.mlp", code=code)
    assert f"steer?model={CODED}&amp;edit=L0.mlp:{code}" in page.html
    chip = str(edit_list.edit_chip(Edit("L0.mlp", code), CODED, {CodeRef(CODED, "L0.mlp", code): "mine"}))
    assert "mine" in chip and "force, everywhere" in chip
