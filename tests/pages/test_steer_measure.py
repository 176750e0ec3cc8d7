"""Steer on stories: codes are found, put into the list, measured against every control; nothing is measured twice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from app.draw.drawing import vega_lite
from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from app.steer import steer_find, steer_measure
from app.steer.steer_measure import Asked
from backend.answers.live import Arm
from backend.catalog.cards import read_card, write_card
from backend.data.stories.source import JUDGE
from backend.explorer import Explorer
from backend.types import Edit, Generated, Sampling
from tests.pages.conftest import open_page  # noqa: F401  (a fixture)
from tests.pages.story_models import STORIES, story_dir  # noqa: F401  (a fixture)

PROMPT = "A child"
SMALL = Sampling(samples=6, max_new_tokens=12)
TOPIC = ("topic", "dragon")


@pytest.fixture(scope="session")
def measured_dir(story_dir, tmp_path_factory):  # noqa: F811
    """The stories with the base they were made from in the catalog, so that perplexity can be measured."""
    folder = shutil.copytree(story_dir, tmp_path_factory.mktemp("measured") / "data")
    own = (folder / "catalog" / f"{STORIES}.toml").read_text()
    base = own.replace(f'"{STORIES}"', f'"{STORIES}-base"').replace(
        f'checkpoints/{STORIES}"', f'checkpoints/{STORIES}-base"'
    )
    (folder / "catalog" / f"{STORIES}-base.toml").write_text(base)
    shutil.copy(folder / "checkpoints" / STORIES / "tokenizer.json", folder / "checkpoints" / f"{STORIES}-base")
    lines = [line for line in own.splitlines() if not line.startswith("base")]
    (folder / "catalog" / f"{STORIES}.toml").write_text("\n".join([f'base = "{STORIES}-base"', *lines]))
    return folder


@pytest.fixture
def data_dir(measured_dir, monkeypatch):
    """The pages of these tests look at the stories."""
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(measured_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return measured_dir


@pytest.fixture(autouse=True)
def short_searches(monkeypatch):
    """A search looks at fewer items and takes fewer steps; that it finds something is not tested here."""
    monkeypatch.setattr("backend.families.transformer.descent.TEXTS", 8)
    monkeypatch.setattr("backend.families.transformer.finding.TEXT_ITEMS", 100)
    monkeypatch.setattr("backend.families.transformer.finding.ROUNDS", {3.0: 2, 1.0: 2})
    monkeypatch.setattr("backend.families.transformer.finding.ENOUGH", -np.inf)


@pytest.fixture(scope="session")
def live(measured_dir):
    return Explorer(measured_dir).live(STORIES)


@pytest.fixture(scope="session")
def edits(live):
    return [Edit(info.site, 3, slot=0) for info in live.family.codebooks()]


def arm(name, hits=3, n=10, strength=1.0, perplexity=5.0):
    made = [Generated((1, 2, 3), 1, lambda _: "a text")] * n
    return Arm(name, [], made, hits, 0.1, 0.6, perplexity, 0.5, (), strength)


# ---- the measurement


def test_every_arm_writes_what_its_condition_says_and_counts_it(live, edits):
    found = live.compare(PROMPT, edits, SMALL, success="[aeiou]", dose=(0.0, 1.0), dose_samples=6)
    assert [g.tokens for g in found.unsteered.generated] == [g.tokens for g in live.generate(PROMPT, SMALL)]
    steered = [g.tokens for g in live.generate(PROMPT, SMALL, edits=edits)]
    assert [g.tokens for g in found.steered.generated] == steered
    assert [g.tokens for g in found.dose[1].generated] == steered  # strength 1 is the steered arm
    assert [g.tokens for g in found.dose[0].generated] == [g.tokens for g in found.unsteered.generated]  # 0: no edit
    for one in (found.unsteered, found.steered, found.control, found.neuron, *found.dose):
        new = [g.text.split(PROMPT, 1)[1] for g in one.generated]
        assert one.hits == sum(any(c in "aeiou" for c in text) for text in new)
        assert one.low <= one.rate <= one.high and one.perplexity > 1
    assert len(found.neuron.neurons) == len(edits) and not found.neuron.edits


def test_success_by_the_data_s_own_truth_is_what_the_judge_says(live, edits):
    found = live.compare(PROMPT, edits, Sampling(12, 40), topic=("gender", "female"))
    for one in (found.unsteered, found.steered):
        new = [g.text.split(PROMPT, 1)[1] for g in one.generated]
        assert one.hits == sum("female" in JUDGE(text)["gender"] for text in new)


def test_a_finished_arm_is_not_made_again_and_progress_ends_at_the_total(live, edits):
    said = []
    options = {"success": "e", "dose": (0.5,), "dose_samples": 3}
    first = list(live.arms(PROMPT, edits, SMALL, progress=lambda *now: said.append(now), **options))
    assert [a.name for a in first] == ["unsteered", "steered", "control", "neuron", "dose 0.5"]
    assert said[-1][1] == said[-1][2] == 4 * 6 * 12 + 3 * 12
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)
    again = list(live.arms(PROMPT, edits, SMALL, done=first[:3], **options))
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, True, False, False]
    assert [a.generated for a in first] == [a.generated for a in again]


def test_tables_hold_every_arm_dose_and_text():
    arms = [arm("unsteered", 1), arm("steered", 9), arm("control", 1), arm("neuron", 2), arm("dose 0.5", 4, 5, 0.5)]
    table, doses = steer_measure.arm_table(arms, None), steer_measure.dose_table(arms)
    assert list(table["arm"]) == ["unsteered", "steered", "control", "neuron"] and list(table["rate"]) == [
        0.1,
        0.9,
        0.1,
        0.2,
    ]
    assert doses[["strength", "n", "hits"]].to_numpy().tolist() == [[0.5, 5, 4]]
    assert len(steer_measure.sample_table(arms)) == 45
    shown = str(steer_measure.arm_html(table, "x"))
    assert "best neurons (control)" in shown and "9 of 10" in shown and "1.00 x" in shown
    for chart in (steer_measure.success_curve(doses), steer_measure.perplexity_curve(doses)):
        assert len(next(iter(vega_lite(chart)["datasets"].values()))) == 1


def test_what_is_asked_for_is_the_same_as_python(live, edits):
    asked = Asked(SMALL, "", TOPIC, (0.0, 1.5), 3)
    assert asked.tokens == 4 * 6 * 12 + 2 * 3 * 12
    found = eval(
        asked.python().removeprefix("measured = "),
        {"live": live, "prompt": PROMPT, "edits": edits, "Sampling": Sampling},
    )
    assert [d.strength for d in found.dose] == [0.0, 1.5] and len(found.steered.generated) == 6


# ---- finding


def test_a_candidate_is_told_in_words():
    edits = ("L0.mlp:3@generated:9#7", "L0.mlp:4@generated:9#6", "L1.attn.h2:3@generated:9")
    found = pd.DataFrame([{"edits": edits, "success": 0.5}])
    told = "L0.mlp (2), L1.attn.h2 (1), in the new text, its first 9 tokens: 50.0 %"
    assert steer_find.candidate_text(found.iloc[0]) == told


def test_the_choices_are_what_can_be_judged_and_what_is_labelled(measured_dir):
    found = steer_find.choices(Explorer(measured_dir), STORIES, "stories")
    assert "dragon" in found["topic"] and found["gender"][:2] == ["female", "male"]
    assert "noun" in str(found).lower() and len(found) > 4


# ---- the page


def test_codes_are_found_used_and_measured_on_the_page(open_page):  # noqa: F811
    page = open_page("steer", model=STORIES, field="gender", value="female", tries=4, find=1)
    assert "candidates that were tried" in page.html and "Add an edit." in page.html
    use = next(b for b in page.test.button if b.label.startswith("Use its"))
    use.click().run()
    page.check()
    chosen = page.test.query_params["edit"]
    found = resources.explorer().live(STORIES).find_codes("gender", "female", samples=4)
    assert "samples" in {*found.tried["truth"]}
    assert ([chosen] if isinstance(chosen, str) else list(chosen)) == [str(edit) for edit in found.edits]
    assert "gender=female" in str(page.test.query_params["judge"])


def test_measured_edits_of_the_card_come_into_the_list_with_one_click(open_page, measured_dir):  # noqa: F811
    folder, edit = measured_dir / "checkpoints" / STORIES, "L0.mlp:3:+0.2@generated:9"
    card = read_card(folder)
    write_card(folder, replace(card, edits={"topic=dragon": (edit,)}))
    try:
        page = open_page("steer", model=STORIES, field="topic", value="dragon")
        next(b for b in page.test.button if b.label == "Use the 1 measured edits").click().run()
        page.check()
        assert edit in str(page.test.query_params["edit"]) and "topic=dragon" in str(page.test.query_params["judge"])
        other = open_page("steer", model=STORIES, field="topic", value="robot")
        assert not [b for b in other.test.button if "measured edits" in b.label]
    finally:
        write_card(folder, card)


def test_measuring_on_the_page_shows_all_controls_and_the_curve(open_page):  # noqa: F811
    asked = {"edit": "L0.mlp:3#0", "prompt": PROMPT, "new": 12, "n": 5, "judge": "gender=female", "dose": 1, "few": 2}
    page = open_page("steer", model=STORIES, measure=1, **asked)
    for text in ("random codes (control)", "best neurons (control)", "of 5", "How much of it is needed?"):
        assert text in page.html
    found = (
        resources.explorer()
        .live(STORIES)
        .compare(PROMPT, [Edit("L0.mlp", 3, slot=0)], Sampling(5, 12), topic=("gender", "female"))
    )
    for one in (found.unsteered, found.steered, found.control, found.neuron):
        assert f"{one.perplexity:.3f}" in page.html
    assert not [b for b in page.test.button if b.label == "Stop"] or page.test.query_params["measure"]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"edit": "L0.mlp:3", "prompt": PROMPT, "new": 4, "judge": "topic=nothing"},
        {"find": 1, "field": "colour"},
        {"find": 1, "field": "topic", "value": "<i>x"},
        {"find": 1, "field": "topic", "value": "dragon", "wanted": "("},
        {"find": 1, "field": "topic", "value": "dragon", "tries": "many"},
    ],
)
def test_nonsense_in_the_address_is_explained(open_page, nonsense):  # noqa: F811
    page = open_page("steer", model=STORIES, **{"tries": 4, **nonsense})
    assert "should not have" not in page.html and "<i>x" not in page.html
    assert page.test.warning or 'class="problem"' in page.html


def test_many_edits_have_one_row_that_is_chosen(open_page):  # noqa: F811
    many = [f"L0.mlp:{code}#{code % 4}" for code in range(20)]
    page = open_page("steer", model=STORIES, edit=many, prompt=PROMPT, new=2)
    assert len([s for s in page.test.slider if s.label == "Strength"]) == 1
    next(s for s in page.test.selectbox if s.label == "Which of the 20").set_value(7).run()
    [s for s in page.test.slider if s.label == "Strength"][0].set_value(0.5).run()
    assert list(page.check().test.query_params["edit"]) == [*many[:7], "L0.mlp:7:0.5#3", *many[8:]]


def test_words_of_a_found_answer_are_escaped():
    found = SimpleNamespace(
        tried=pd.DataFrame(
            [
                {
                    "sites": 1,
                    "where": "all",
                    "truth": "now",
                    "success": 0.5,
                    "perplexity_ratio": 1.0,
                    "worth": 1,
                    "edits": ("L0.mlp:3",),
                }
            ]
        ),
        samples=4,
        prompts=("<script>",),
    )
    shown = str(steer_find.tried_html(found))
    assert "<script>" not in shown and "L0.mlp (1)" in shown
