"""Steer shows what it does: measured edits with their figures, a seed that tells, words set off, and what is too weak."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from app.shell import resources
from app.shell.environment import DATA_DIR_VARIABLE
from app.steer import edit_list, judged, measured, meter, steer_measure, steer_panels, steering, telling
from app.steer.measured import Measured, Rate
from app.steer.steer_measure import Asked
from app.steer.steering import Pair, Written
from backend.answers.live import Arm
from backend.catalog.cards import read_card, write_card
from backend.types import Edit, Sampling
from tests.pages.conftest import open_page  # noqa: F401  (a fixture)
from tests.pages.story_models import STORIES, story_dir  # noqa: F401  (a fixture)

DRAGON = judged.aim("stories", "topic", "dragon")


@pytest.fixture
def data_dir(story_dir, monkeypatch):  # noqa: F811
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(story_dir))
    st.cache_data.clear()
    st.cache_resource.clear()
    return story_dir


def text(new, prompt="Once there was", ids=None):
    """A text whose words are its tokens; the prompt is one token."""
    words = new.split(" ")
    numbers = ids or [hash(word) for word in words]
    texts = (("", prompt), *((" ", word) for word in words))
    return Written((0, *numbers), texts, 1, " ".join([prompt, *words]))


def card(edits, **rates):
    """An explorer of one model with these measured edits and figures."""
    metrics = pd.DataFrame(
        [
            (name.replace("__", "."), value, value - 0.01, value + 0.01, "how it was measured")
            for name, value in rates.items()
        ],
        columns=["name", "value", "low", "high", "definition"],
    )
    return SimpleNamespace(measured_edits=lambda model: edits, metrics=lambda model: metrics)


# ---- measured edits


def test_measured_edits_stand_with_what_they_do_and_the_greatest_gain_first():
    explorer = card(
        {"gender=male": ("a:1",), "topic=robot": ("a:2",), "topic=dragon": ("a:3", "a:4"), "mood=odd": ("a:5",)},
        topic_unsteered__dragon=0.0418, topic_steered__dragon=0.9801, topic_unsteered__robot=0.02,
        topic_steered__robot=0.79, gender_unsteered__male=0.4, gender_steered__male=0.96, topic_random_code=0.051,
    )  # fmt: skip
    found = measured.measured(explorer, "m")
    assert [one.name for one in found] == ["topic=dragon", "topic=robot", "gender=male", "mood=odd"]
    assert [one.effect for one in found] == ["4 % → 98 %", "2 % → 79 %", "40 % → 96 %", ""]
    assert (
        "2 edits" in found[0].about and "97.0 % to 99.0 %" in found[0].about and "how it was measured" in found[0].about
    )
    assert measured.random_code_note(explorer, "m", ["topic", "gender"]) == "; random codes in their place: topic 5 %"


def test_using_measured_edits_writes_prompt_length_and_temperature_as_they_were_measured():
    one = Measured("topic", "dragon", ("a:3",))
    written = measured.use(one, "stories")["kwargs"]
    trial = judged.trial("stories")
    assert written["edit"] == ["a:3"] and written["judge"] == "topic=dragon" and written["telling"] == 1
    assert (written["prompt"], written["new"], written["temperature"]) == (trial.testing[0], 200, 0.7)
    assert written["measure"] is None and written["seed"] is None


def test_a_label_of_whole_stories_is_the_same_aim_as_the_judges_topic():
    assert str(judged.aim("stories", "story topic", "dragon")) == "topic=dragon"
    assert str(judged.aim("python-source", "keyword", "def")) == "syntax=function"
    assert judged.aim("stories", "pos", "noun") is None and judged.aim("no such data", "topic", "dragon") is None


def test_nearly_all_is_not_said_to_be_all():
    rate = lambda value: Rate(value, value, value, "")  # noqa: E731
    assert Measured("a", "b", (), rate(0.298), rate(0.995)).effect == "30 % → 99.5 %"
    assert Measured("a", "b", (), rate(0.0), rate(1.0)).effect == "0 % → 100 %"
    assert Measured("a", "b", (), rate(0.002), rate(0.5)).effect == "0.2 % → 50 %"


# ---- the seed


def test_the_telling_seed_has_another_story_unsteered_and_reads_well_steered():
    plain = ["a dragon roared from the dragon cave", "a robot beeped", "a robot beeped", "a robot beeped"]
    steered = ["a dragon and a knight", "a robot again", "a dragon a wing a", "a dragon came to the cave"]
    perplexity = {steered[2]: 9.0, steered[3]: 1.2}
    asked = []

    def write(seed, with_edits):
        asked.append((seed, with_edits))
        return (steered if with_edits else plain)[seed]

    found = telling.telling_seed(write, lambda t: perplexity.get(t, 1.0), str, DRAGON)
    assert found == 3 and (0, True) not in asked, "an unsteered story about a dragon tells nothing, whatever is steered"


def test_without_a_perfect_seed_the_best_is_taken_and_without_an_aim_the_first():
    texts = {(seed, False): "a robot beeped" for seed in range(telling.SEEDS)}
    texts |= {(seed, True): "a robot again" for seed in range(telling.SEEDS)} | {(2, True): "a dragon dragon"}
    ratio = {"a dragon dragon": 5.0}
    write = lambda seed, with_edits: texts[seed, with_edits]  # noqa: E731
    assert telling.telling_seed(write, lambda t: ratio.get(t, 1.0), str, DRAGON) == 2
    assert telling.telling_seed(write, lambda t: math.nan, str, DRAGON) == 2
    assert telling.telling_seed(write, lambda t: 1.0, str, None) == 0


# ---- both texts


def test_the_text_is_marked_once_where_it_parts_and_at_the_words_of_the_aim():
    plain, steered = text("a girl named Emma saw a robot"), text("a girl named Olga saw the DRAGON's cave")
    shown = str(steering.text_html(steered, plain, None, DRAGON))
    assert shown.count('class="parting"') == 1
    assert shown.index("named") < shown.index('class="parting"') < shown.index("Olga")
    assert "<mark>DRAGON</mark>" in shown and "<mark>cave</mark>" in shown and shown.count("<mark>") == 2
    assert 'class="parting"' not in str(steering.text_html(plain, plain, None)), "the same text parts nowhere"
    pair = str(steering.pair_html(Pair((plain,), (steered,)), None, DRAGON))
    assert "topic: dragon · 2 marked" in pair and "no topic · 0 marked" in pair
    assert "0 → 1" in str(steering.pair_figures(Pair((plain,), (steered,)), None, DRAGON))


def test_words_of_the_prompt_are_not_set_off_because_the_judge_does_not_read_them():
    shown = str(steering.text_html(text("a robot", prompt="The dragon"), None, None, DRAGON))
    assert "<mark>" not in shown


def test_lines_break_where_the_text_does_and_lone_spaces_are_spaces():
    own = Written((1, 2), (("", "a"), ("", "\n    return  x")), 1, "")
    shown = str(steering.text_html(own, None, None))
    assert "⏎</span><br>" in shown and shown.count("·") == 6 and "return" in shown
    assert "a b" in str(steering.text_html(Written((1,), (("", "a b"),), 0, "a b"), None, None))


# ---- too weak


def test_a_code_that_does_nothing_is_called_weak_and_measured_edits_are_not_judged_so():
    plain, steered = text("a robot beeped", ids=[1, 2, 3]), text("a robot beeped again", ids=[1, 2, 3, 4])
    edits = [Edit("L0.mlp", 3, "add", 0.1)]
    same, other = Pair((plain,), (plain,)), Pair((plain,), (steered,))
    assert "not one token" in telling.weakness(edits, same, 0.2, None)
    assert "0.010 nats" in telling.weakness(edits, other, 0.01, None)
    assert telling.weakness(edits, other, 0.2, None) == ""
    assert "does not find it" in telling.weakness(edits, other, 0.2, DRAGON)
    assert "These 2 codes are" in telling.weakness([*edits, *edits], other, 0.2, DRAGON)
    assert telling.weakness(edits, Pair((plain,), (text("a dragon in a cave"),)), 0.0, DRAGON) == ""
    assert telling.weakness(edits * 4, same, 0.0, DRAGON) == ""


def test_where_no_position_is_left_behind_the_edits_that_is_said():
    found = SimpleNamespace(kl=np.array([0.0, 0.1, 0.2, 0.3]))
    everywhere = str(steer_panels.kl_figures(found, [Edit("a", 1, where=(1, 2, 3))]))
    assert "no position is left" in everywhere and "–" not in everywhere
    assert "no position of this text" in str(steer_panels.kl_figures(found, []))
    some = str(steer_panels.kl_figures(found, [Edit("a", 1, where=(1,))]))
    assert "0.250 nats" in some and "over 2 later positions" in some


# ---- many edits


def test_many_edits_are_summed_up_by_codebook_the_strongest_first():
    edits = [Edit("L0.mlp", code, "add", 0.01 * (code + 1), "generated:9") for code in range(40)]
    edits += [Edit("L1.mlp", 7, "add", 0.5, "generated:9"), Edit("L1.mlp", 8, "ban")]
    shown = str(edit_list.summary(edits, "m", {}))
    assert shown.index("L1.mlp") < shown.index("L0.mlp"), "the codebook of the strongest edit stands first"
    assert "40 edits, strengths 0.01 to 0.4" in shown and "and 36 more" in shown and "<details>" in shown
    assert shown.index(">39<") < shown.index(">38<") < shown.index("and 36 more") < shown.index(">35<")
    assert "its first 9 tokens" in shown and "ban, everywhere" in shown


# ---- the page


def test_the_first_prompt_says_nothing_of_what_will_follow(open_page):  # noqa: F811
    page = open_page("steer", model=STORIES)
    assert page.test.text_area[0].value == judged.trial("stories").testing[0]
    assert "Try one code:" in page.html and page.html.count("telling=1") == 2, "two examples to click"


def test_one_click_on_measured_edits_shows_them_with_a_seed_that_tells(open_page, data_dir):  # noqa: F811
    folder, edit = data_dir / "checkpoints" / STORIES, "L0.mlp:3:+0.2@generated:9"
    before = read_card(folder)
    write_card(folder, dataclasses.replace(before, edits={"gender=female": (edit,)}))
    try:
        page = open_page("steer", model=STORIES)
        assert "Steer it to" in page.html
        next(b for b in page.test.button if b.key == "measured.gender=female").click().run()
        address = page.check().test.query_params
        assert address["edit"] in (edit, [edit]) and "telling" not in address and "seed" in address
        female = judged.aim("stories", "gender", "female")
        live, settings = resources.explorer().live(STORIES), Sampling(1, 200, 0.7, None, int(address["seed"][0]))
        plain = live.generate(judged.trial("stories").testing[0], settings)[0]
        if not all(female.holds(_new(live, seed)) for seed in range(telling.SEEDS)):
            assert not female.holds(_new(live, settings.seed)), plain.text
        assert "speaks for female" in page.html
    finally:
        write_card(folder, before)


def _new(live, seed):
    made = live.generate(judged.trial("stories").testing[0], Sampling(1, 200, 0.7, None, seed))[0]
    return steering.new_part(steering.written(live, made))


# ---- measuring


class Bar:
    """A progress bar that remembers what it has shown."""

    def __init__(self):
        self.said = []

    def progress(self, share, words):
        assert 0 <= share <= 1
        self.said.append(words)


def test_the_estimate_holds_the_search_for_neurons_and_names_it(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(meter.time, "perf_counter", lambda: clock[0])
    bar, pace = Bar(), meter.NeuronPace()
    shown = meter.Meter(bar, Asked(Sampling(10, 10), "", ("topic", "dragon"), (), 0), pace)
    shown.start([])
    clock[0] = 10.0
    shown.wrote("writing, steered", 100, 400)  # 300 tokens are left, at 10 a second
    assert bar.said == ["Writing, steered ... about 55 s left in all"], "30 s of writing and 25 of the neurons"
    clock[0] = 30.0
    shown.finished(Arm("control", [], [], None, 0, 0, 0, 0))
    assert "best neurons" in bar.said[-1] and "25 s" in bar.said[-1]
    clock[0] = 38.0
    shown.wrote("writing, neuron", 310, 400)
    assert pace.seconds == 8.0, "the next estimate uses this model's own time"
    assert bar.said[-1] == "Writing, neuron ... about 9 s left in all", (
        "the search is neither left nor counted as writing"
    )


def test_what_will_be_measured_is_said_before_the_click_with_the_neurons_that_take_long():
    said = meter.expectation(Asked(Sampling(50, 10), "", ("topic", "dragon"), (0.5, 1.0), 20), "nobody's")
    assert "4 × 50 texts" in said and "2 × 20 for the curve" in said and "about 25 s" in said
    assert meter.expectation(Asked(Sampling(50, 10), "", None, (), 0), "nobody's") == "Writes 3 × 50 texts."


def test_an_earlier_measurement_stays_greyed_until_the_new_one_is_there(open_page):  # noqa: F811
    page = open_page("steer", model=STORIES, edit="L0.mlp:3", prompt="A child", new=8, n=7, success="e", measure=1)
    assert "of 7" in page.html and "measured of other edits" not in page.html
    [s for s in page.test.slider if s.label == "Strength"][0].set_value(0.4).run()
    page.check()
    assert "measure" not in page.test.query_params
    assert "measured of other edits" in page.html and "of 7" in page.html, (
        "what was measured before is still to be seen"
    )
    next(b for b in page.test.button if b.label == "Measure").click().run()
    page.check()
    assert "measured of other edits" not in page.html and "of 7" in page.html
    assert steer_measure.NAMES["steered"] in page.html
