"""A live model shared by several people: turns pass by pass, and the same answers as alone. Its weights are random."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config

from backend.catalog.cards import Card
from backend.data.machines import Machine
from backend.errors import BadInput
from backend.families.transformer.checkpoint import build_model, save_checkpoint
from backend.families.transformer.live import LiveModel
from backend.nn.insertion.placement import Placement
from backend.types import CodeRef, ModelSpec, Sampling

MACHINE = Machine(states=9, edges=3, base=3, seed=5, length=33)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> LiveModel:
    data_dir: Path = tmp_path_factory.mktemp("live")
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=MACHINE.vocabulary, n_positions=33, n_embd=32, n_layer=2, n_head=2)
    model = build_model(config, (Placement("attn", codes=24), Placement("mlp", codes=32)))
    save_checkpoint(model, data_dir / "checkpoints" / "toy", Card())
    return LiveModel(ModelSpec("toy", "transformer", "text", "x", MACHINE.settings, "checkpoints/toy"), data_dir)


def test_questions_asked_at_the_same_time_have_the_answers_of_questions_asked_alone(live: LiveModel) -> None:
    walk = " ".join(MACHINE.name(s) for s in MACHINE.walk(np.random.default_rng(0), 1)[0][:4])

    def ask(person: int) -> str:
        if person % 2:
            found = live.believe(walk, MACHINE.name(person % 9), samples=3, new_states=2, seed=person)
            return found.next.to_csv() + found.controls.to_csv() + found.continued.to_csv()
        return live.effect(CodeRef("toy", "L1.mlp", person), contexts=12, seed=person).to_csv()

    alone = {person: ask(person) for person in range(10)}
    together: dict[int, str] = {}
    threads = [threading.Thread(target=lambda p=p: together.update({p: ask(p)})) for p in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_short_question_does_not_wait_for_the_end_of_a_long_one(live: LiveModel) -> None:
    live.lens("00")
    ended = []
    long = threading.Thread(target=lambda: ended.append(live.effect(CodeRef("toy", "L1.mlp", 1), contexts=256)))
    long.start()
    live.lens("00 01")
    assert not ended
    long.join()
    assert len(ended) == 1


def test_samples_end_with_the_context_and_it_is_said(live: LiveModel) -> None:
    walk = " ".join([MACHINE.name(0)] * 14)  # 29 of 33 tokens
    found = live.compare(walk, [], Sampling(2, 9))
    assert [len(made.tokens) for made in found.steered.generated] == [33, 33]
    assert len(found.warnings) == 1 and "Only 4 of 9" in found.warnings[0]
    assert live.compare(walk, [], Sampling(2, 4)).warnings == []


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"temperature": float("nan")}, {"top_k": 0}, {"seed": 2**63}, {"seed": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        Sampling(**wrong)  # type: ignore[arg-type]
