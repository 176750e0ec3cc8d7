"""Practice: its slopes against small steps on the same samples, and what it makes of a small model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.edits.codes import first_generated
from backend.families import open_live
from backend.families.transformer.live import LiveModel
from backend.families.transformer.practice import EVERY, PRICE, RATE, SMALLER, WEIGHT, Practice
from backend.families.transformer.strengths import CAP, MOST
from backend.nn.insertion.model import CodebookTransformer
from backend.types import Edit, Sampling
from tests.backend.toy_machines import make

PROMPTS = ("01 22", "00")
SITE = "L1.mlp"  # nothing discrete comes after it


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> LiveModel:
    data = tmp_path_factory.mktemp("practice")
    live = open_live(make(data, "gpt_neox"), data)
    with torch.no_grad():
        live.family.model.model.get_output_embeddings().weight.mul_(4)  # predictions that differ from each other
    return live


def practice(live: LiveModel, edits: tuple[Edit, ...]) -> Practice:
    sampling = Sampling(30, 8, temperature=0.7)
    return Practice(live, lambda text: text.count("0") + text.count("1") > 1, edits, PROMPTS, sampling)


def surrogate(
    model: CodebookTransformer,
    plain: CodebookTransformer,
    edits: tuple[Edit, ...],
    made: list[tuple[list[int], int]],
    by_hand: np.ndarray,
) -> float:
    """Mean over samples: -advantage x log-probability of the new tokens at 0.7, and how unlikely the next ones are."""
    total, unlikely = [], []
    for (tokens, prompt), better in zip(made, by_hand, strict=True):
        rows = torch.tensor([tokens])
        with torch.no_grad(), model.session(edits, prompt_length=prompt):
            written = (model(rows).logits[0, prompt - 1 : -1] / 0.7).log_softmax(-1)
        with torch.no_grad():
            usual = plain(rows).logits[0, prompt - 1 : -1].log_softmax(-1)
        total.append(-better * float(written[torch.arange(len(written)), rows[0, prompt:]].sum()))
        unlikely.append(float(-(written.exp() * usual).sum(-1).mean()))
    return float(np.mean(total)) + WEIGHT * float(np.mean(unlikely))


def test_slopes_are_what_a_little_of_each_code_does_to_the_same_samples(live: LiveModel) -> None:
    model, plain = live.family.model, live.plain.model
    start = (Edit(SITE, 3, "add", 0.2, "generated:4"),)
    found = practice(live, start)
    tokens, prompts, new, good = found._write(start, 1)
    assert 0 < good.mean() < 1
    ends = prompts[:, 0] + new.sum(1)
    made = [(row[:end].tolist(), int(n)) for row, end, n in zip(tokens, ends, prompts[:, 0], strict=True)]
    nats = []
    for row, prompt in made:
        with torch.no_grad():
            logp = plain(torch.tensor([row])).logits[0, prompt - 1 : -1].log_softmax(-1)
        nats.append(float(-logp[torch.arange(len(logp)), torch.tensor(row[prompt:])].mean()))
    reward = good.numpy() - WEIGHT * np.minimum(nats, np.mean(nats) + 1)
    slopes, success, ratio = found._step(1)
    assert success == pytest.approx(float(good.mean()))
    assert ratio == pytest.approx(np.exp(nats).mean() / found._unsteered_perplexity, rel=1e-3)
    before = surrogate(model, plain, start, made, reward - reward.mean())
    for place, where in enumerate(("generated:4", "generated")):
        real = slopes["L1:mlp"][place, 0] / found.added.units["L1:mlp"][0]
        for code in (*real.topk(2).indices.tolist(), *real.topk(2, largest=False).indices.tolist()):
            a_little = (*start, Edit(SITE, code, "add", 1e-2, where))
            change = (surrogate(model, plain, a_little, made, reward - reward.mean()) - before) / 1e-2
            assert change == pytest.approx(float(real[code]), rel=0.1, abs=0.03)


def test_practice_makes_samples_succeed_that_did_not_and_leaves_the_weights_alone(
    live: LiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WEIGHT", "LIGHTEST", "PULL"):
        monkeypatch.setattr(
            f"backend.families.transformer.practice.{name}", 0.0
        )  # of fluency: the base has random weights here
    before = {k: v.clone() for k, v in live.family.model.state_dict().items()}
    start = (Edit(SITE, 3, "add", 0.05, "generated:4"),)
    found, said = practice(live, start), []
    edits = found.run(60, lambda step, success: said.append((step, success)))
    assert [step for step, _ in said] == list(range(1, 1 + len(said))) and [s for _, s in said] == found.success
    assert np.mean(found.success[-4:]) > np.mean(found.success[:4]) + 0.2
    assert 0 < len(edits) <= MOST and all(e.action == "add" and 0 < e.strength <= CAP for e in edits)
    assert {first_generated(e.where) for e in edits} <= {4, first_generated("generated")}
    assert all(torch.equal(v, before[k]) for k, v in live.family.model.state_dict().items())
    assert practice(live, start).run(60) == edits


def test_where_all_samples_succeed_already_strengths_become_smaller(
    live: LiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WEIGHT", "LIGHTEST", "PULL"):
        monkeypatch.setattr(f"backend.families.transformer.practice.{name}", 0.0)  # of fluency
    start = (Edit(SITE, 3, "add", 0.1, "generated"),)
    done = Practice(live, lambda text: True, start, PROMPTS, Sampling(8, 6, temperature=0.0))
    (edit,) = done.run(3)
    assert (edit.site, edit.code) == (SITE, 3) and 0 < edit.strength < 0.1 * (1 - SMALLER) ** 3


def test_a_model_on_whose_samples_nothing_succeeds_comes_to_no_harm(live: LiveModel) -> None:
    start = (Edit(SITE, 3, "add", 0.02, "generated"),)
    none = Practice(live, lambda text: False, start, PROMPTS, Sampling(8, 6))
    none.run(5)
    assert none.success == [0.0] * 5 and all(v.isfinite().all() for v in none.added.values.values())


def test_a_code_that_wakes_begins_without_the_momentum_of_its_sleep(
    live: LiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = practice(live, (Edit(SITE, 3, "add", 0.2, "generated:4"),))
    name, awake, sleeper = "L1:mlp", (0, 0, 3), (0, 0, 7)
    slopes = {layer: torch.zeros_like(values) for layer, values in found.added.values.items()}
    slopes[name][awake] = slopes[name][sleeper] = -1.0
    monkeypatch.setattr(found, "_step", lambda seed: (slopes, 0.0, 1.0))
    before = float(found.added.values[name][awake])
    found.run(1)
    first = float(found.added.values[name][awake]) - before
    assert first == pytest.approx(RATE * (1 - PRICE), rel=1e-3)  # Adam's first step is the whole rate
    assert not found.added.active[name][sleeper]
    found.run(EVERY // 2)
    woken = float(found.added.values[name][sleeper])
    assert found.added.active[name][sleeper] and 0 < woken < 0.1 * RATE
    assert float(found.added.values[name][awake]) - before > 4 * 0.9 * first
