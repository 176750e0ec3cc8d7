"""Finding codes: rankings against plain counting, prompts in one batch as one by one, and the command's answer."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from backend import __main__ as cli
from backend.analysis.site_codes import SiteCodes
from backend.data.datasets import source_of
from backend.edits.codes import HeldNeuron
from backend.errors import BadInput, Unsupported
from backend.families import open_live
from backend.families.transformer.conditions import Goal, best_neurons, true_positions
from backend.families.transformer.finding import Candidate, choosing_prompts, find_edits
from backend.families.transformer.live import LiveModel
from backend.types import Edit, Item, ModelSpec, Sampling
from tests.backend.commands import answer
from tests.backend.toy_machines import MACHINE, make


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finding")


@pytest.fixture(scope="module")
def live(data: Path) -> LiveModel:
    return open_live(make(data, "gpt2"), data)


# ---- what is true, and which codes say so


def item(index: int, labels: list[str], tag: str) -> Item:
    return Item(index, (len(labels),), np.arange(len(labels)), "", None, {"kind": labels}, {"topic": tag})


def test_what_is_true_are_tags_of_items_else_labels_of_positions() -> None:
    items = [item(0, ["a", ""], "sea"), item(1, ["b", "a", "a"], "kitchen")]
    assert true_positions(items, "topic", "kitchen").tolist() == [False, False, True, True, True]
    assert true_positions(items, "kind", "a").tolist() == [True, False, False, True, True]
    with pytest.raises(BadInput, match="Known fields: kind, topic"):
        true_positions(items, "colour", "red")


def test_the_least_similar_slots_are_forced_to_the_codes_in_turn() -> None:
    ranking = [SiteCodes("a", (1, 2, 3), (3, 1), 1.0, 0.5, 0.5), SiteCodes("b", (7,), (7,), 0.5, 0.5, 0.5)]
    slots = {"a": 4, "b": 1}
    plain = Candidate("now", (2, 1), False, (-1,))
    assert [str(e) for e in plain.edits(ranking, slots)] == ["a:1@-1#3", "a:2@-1#2", "b:7@-1"]
    precise = Candidate("now", (3,), True, "generated:9")
    assert [str(e) for e in precise.edits(ranking, slots)] == [
        f"a:{c}@generated:9#{i}" for c, i in ((3, 3), (1, 2), (3, 1))
    ]


def test_a_candidate_differs_from_its_neighbours_in_one_thing() -> None:
    ranking = [SiteCodes("a", (1, 2), (2, 1), 1.0, 0.5, 0.5), SiteCodes("b", (7,), (7,), 0.5, 0.5, 0.5)]
    here = Candidate("now", (3,), False, "all")
    found = list(here.neighbours(ranking, {"a": 4, "b": 1}, ("all", (-1,))))
    assert {c.slots for c in found} == {(2,), (3,), (3, 1), (4,)}
    for other in found:
        changed = [getattr(other, name) != getattr(here, name) for name in ("truth", "slots", "precise", "where")]
        assert sum(changed) == 1
    alone = Candidate("now", (0, 1), False, "all").neighbours(ranking, {"a": 4, "b": 1}, ("all",))
    assert all(any(c.slots) for c in alone)  # never without any edit


def test_prompts_for_choosing_and_for_testing_never_meet() -> None:
    for dataset in ("stories", "python-source"):
        trial = source_of(dataset).trial
        assert trial is not None and not {*trial.choosing} & {*trial.testing}
    assert source_of("tokfsm").trial is None


def test_what_can_be_judged_is_found_by_its_name_and_by_its_truth() -> None:
    python, stories, machine = (source_of(name) for name in ("python-source", "stories", "tokfsm"))
    assert python.behaviour("keyword", "class") == python.behaviour("syntax", "class") is not None
    assert stories.behaviour("month", "June") is None and machine.behaviour("state", "1") is None
    assert stories.judge is not None and stories.judged.keys() == stories.judge("").keys()
    for field, values in stories.judged.items():
        assert all(stories.behaviour(field, value) for value in values)


def test_a_goal_that_nobody_can_judge_says_what_can_be_judged() -> None:
    with pytest.raises(BadInput, match="gender=female"):
        Goal(topic=("month", "June")).test(source_of("stories"))
    with pytest.raises(BadInput, match="--success"):
        Goal(topic=("state", "01")).test(source_of("tokfsm"))
    succeeds = Goal("b+").test(source_of("tokfsm"))
    assert succeeds("abba") and not succeeds("aa")


# ---- the model


@pytest.mark.parametrize("backbone", ["gpt2", "gpt_neox", "llama"])
def test_prompts_of_several_lengths_in_one_batch_write_what_they_write_alone(backbone: str, data: Path) -> None:
    live = open_live(make(data, backbone), data)
    prompts = ("01", "01 22 10", "12 0")
    edits = [
        Edit("L0.mlp", 3, where=(-1,)),
        Edit("L1.attn.h0", 5, where="generated", slot=1),
        Edit("L0.attn.h1", 4, where="generated:3"),
        Edit("L1.mlp", 2, "ban"),
    ]
    for used in ((), edits):
        together = live.write(prompts, Sampling(5, 9, temperature=0), used)
        alone = [live.generate(p, Sampling(1, 9, temperature=0), edits=used)[0] for p in prompts]
        assert together == [alone[0], alone[0], alone[1], alone[1], alone[2]]


def test_the_first_new_tokens_are_those_right_behind_each_prompt(live: LiveModel) -> None:
    model = live.family.model
    model.note_positions(torch.zeros(2, 9, dtype=torch.int64))
    ends = torch.tensor([[4], [7]])
    assert model.rows("generated:3", ends).view(2, 9).nonzero().tolist() == [[0, 4], [0, 5], [0, 6], [1, 7], [1, 8]]
    assert not model.rows("generated:3", None).any()
    assert (model.rows("generated:9", ends) == model.rows("generated", ends)).all()


def test_a_held_neuron_is_where_it_is_told_to_be_and_nobody_else_sees_it(live: LiveModel) -> None:
    seen: list[torch.Tensor] = []
    layer = live.family.model.model.transformer.h[1]
    handle = layer.mlp.register_forward_hook(lambda _m, _a, out: seen.append(out.detach().clone()), always_call=True)
    plain = live.generate("01", Sampling(1, 3, temperature=0))
    before = list(seen)
    list(live.stream("01", Sampling(1, 3, temperature=0), neurons=[HeldNeuron("L1.mlp", 4, 9.0, 0.5, "prompt")]))
    handle.remove()
    assert live.generate("01", Sampling(1, 3, temperature=0)) == plain
    hooks = layer.mlp._forward_hooks
    assert len(before) == 3 and len(seen) == 6 and len(hooks) == 1  # the codebook's own is all that is left


def test_the_best_neurons_are_those_whose_mean_is_farthest_away(live: LiveModel) -> None:
    goal, edits = (
        Goal(topic=("state read", "01")),
        [Edit("L0.mlp", 3, where="prompt"), Edit("L0.mlp", 4, where="prompt")],
    )
    field = next(iter(live.family.items(0, 1, 0)[0].labels))
    goal = Goal(topic=(field, "01"))
    found = best_neurons(live, goal, edits)
    assert len(found) == 2 and {n.where for n in found} == {"prompt"}
    items = live.family.items(0, 200, 0)
    truth = true_positions(items, field, "01")
    values = live.family.encode(items, neurons=True).neurons
    top = max(
        (abs(v[truth, i].mean() - v[:, i].mean()) / v[:, i].std(), site, i)
        for site, v in values.items()
        for i in range(v.shape[1])
    )
    assert (found[0].site, found[0].number) == top[1:]
    assert found[0].value == pytest.approx(values[top[1]][truth, top[2]].mean(), rel=1e-4)
    assert best_neurons(live, Goal("no such text"), edits) == []


def test_controls_act_where_edits_at_several_places_do_and_draw_one_code_for_each(live: LiveModel) -> None:
    field = next(iter(live.family.items(0, 1, 0)[0].labels))
    goal = Goal("1", (field, "01"))
    twice = [Edit("L0.mlp", 3, "add", 0.2, where) for where in ("generated:4", "generated")]
    assert {neuron.where for neuron in best_neurons(live, goal, twice)} == {"generated"}
    assert {neuron.where for neuron in best_neurons(live, goal, twice[:1])} == {"generated:4"}
    assert {neuron.where for neuron in best_neurons(live, goal, [*twice, Edit("L0.mlp", 3, where="all")])} == {"all"}
    for seed in range(5):
        drawn = live.random_edits([*twice, Edit("L0.mlp", 4, "add", 0.1)], seed)
        assert drawn[0].code == drawn[1].code != 3
        assert [e.where for e in drawn] == ["generated:4", "generated", "all"]


def test_candidates_are_climbed_among_and_the_best_tried_is_taken(
    live: LiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.families.transformer.finding.ENOUGH", np.inf)  # no descent is
    field = next(iter(live.family.items(0, 1, 0)[0].labels))
    said = []
    found = find_edits(
        live, Goal("1", (field, "01")), items=40, samples=6, new_tokens=6, progress=lambda *now: said.append(now)
    )
    assert {*found.tried["where"]} == {"all", "-1"} and {*found.tried["truth"]} == {"now", "next", "texts"}
    assert found.tried["edits"].is_unique and (found.new_tokens, found.temperature) == (6, 1.0)
    best = found.tried.loc[found.tried["worth"].idxmax()]
    assert tuple(map(str, found.edits)) == best["edits"]
    prompts = choosing_prompts(live, 40, 0)
    made = live.write(prompts, Sampling(6, 6), found.edits)
    new = [g.text[len(live.family.dataset.render(g.tokens[: g.prompt_length])[0]) :] for g in made]
    assert best["success"] == pytest.approx(np.mean(["1" in text for text in new]))
    assert f"{len(found.tried)} so far" in said[-1][0] and found.prompts == prompts


def test_where_a_descent_finds_enough_nothing_else_is_tried(live: LiveModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.families.transformer.finding.ENOUGH", -np.inf)
    field = next(iter(live.family.items(0, 1, 0)[0].labels))
    found = find_edits(live, Goal("1", (field, "01")), items=40, samples=6, new_tokens=6)
    assert {*found.tried["truth"]} == {"texts"} and {edit.where for edit in found.edits} == {(-1,)}


def test_prompts_of_a_data_set_without_its_own_can_be_read_back(live: LiveModel) -> None:
    prompts = choosing_prompts(live, 40, 0)
    first = live.family.items(40, 41, 0)[0].payload
    assert len(prompts) == 4 and (live.parse(prompts[0]) == first[: len(live.parse(prompts[0]))]).all()


def test_a_model_without_codebooks_has_no_codes_to_find(live: LiveModel, data: Path) -> None:
    base = open_live(ModelSpec("b", "transformer", "text", "x", MACHINE.settings, "checkpoints/gpt2-base"), data)
    with pytest.raises(Unsupported, match="no codebooks"):
        find_edits(base, Goal("1", ("state", "01")))


# ---- the commands


def test_the_command_gives_edits_and_the_line_that_steers_with_them(
    live: LiveModel, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    field = next(iter(live.family.items(0, 1, 0)[0].labels))
    arguments = ("find-topic-codes", "gpt2", field, "01", "--success", "1", "--items", "30", "--samples", "4")
    found = answer(capsys, *arguments, "--new-tokens", "4", data=data)
    assert {"model", "field", "value", "edits", "sites", "tried", "steer"} <= found.keys()
    assert {"site", "codes", "worth", "precision", "recall"} == found["sites"][0].keys()
    line = shlex.split(found["steer"].replace("PROMPT", "'01 22'"))[3:]
    line[line.index("--samples") + 1] = "6"
    steered = answer(capsys, *line, "--dose", "0,1", "--dose-samples", "6", data=data)
    assert steered["steered"]["edits"] == found["edits"] and [d["strength"] for d in steered["dose"]] == [0, 1]
    assert steered["dose"][1]["texts"] == steered["steered"]["texts"]
    assert steered["dose"][0]["texts"] == steered["unsteered"]["texts"]
    assert steered["neuron"] is None or steered["neuron"]["neurons"]
    assert cli.main([*arguments, "--new-tokens", "4", "--data-dir", str(data)]) == 0
    assert "Candidates, 4 samples each" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("find-topic-codes", "gpt2", "colour", "red", "--success", "1"), "Known fields"),
        (("find-topic-codes", "gpt2", "colour", "red"), "--success"),
        (("find-topic-codes", "gpt2-base", "colour", "red", "--success", "1"), "no codebooks"),
        (("steer", "gpt2", "--prompt", "01", "--edit", "L0.mlp:1", "--topic", "dragon"), "FIELD=VALUE"),
        (("steer", "gpt2", "--prompt", "01", "--edit", "L0.mlp:1", "--topic", "a=b"), "cannot be judged"),
        (("steer", "gpt2", "--prompt", "01", "--edit", "L0.mlp:1", "--dose", "0,9"), "are not shares of a strength"),
    ],
)
def test_what_cannot_be_found_or_judged_is_refused_in_a_sentence(
    wrong: tuple[str, ...], said: str, live: LiveModel, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert cli.main([*wrong, "--data-dir", str(data)]) != 0
    assert said in capsys.readouterr().err
