"""Strengths of added codes: edits and back, which codes are active, and how large strengths may become."""

from __future__ import annotations

import pytest
import torch

from backend.families.transformer.checkpoint import build_model
from backend.families.transformer.strengths import CAP, LEAST, MOST, Strengths
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Placement
from backend.types import Edit


@pytest.fixture(scope="module")
def model() -> CodebookTransformer:
    torch.manual_seed(0)
    places = (Placement("attn", codes=90, k=3), Placement("mlp", codes=32, k=4))
    return build_model(Shape("gpt_neox", 2, 32, 2, 64).config(20, 48, 0), places).eval()


@pytest.fixture
def added(model: CodebookTransformer) -> Strengths:
    return Strengths(model, ["generated:4", "generated"], torch.randint(20, (3, 12)))


def test_edits_that_are_taken_come_back_strongest_first_and_twice_the_same_adds_up(added: Strengths) -> None:
    edits = (
        Edit("L0.mlp", 5, "add", 0.3, "generated:4"),
        Edit("L0.mlp", 5, "add", 0.2, "generated"),
        Edit("L1.attn.h1", 7, "add", 0.1, "generated"),
    )
    added.take(edits)
    assert [(e.site, e.code, e.where) for e in added.edits()] == [(e.site, e.code, e.where) for e in edits]
    assert [e.strength for e in added.edits()] == pytest.approx([0.3, 0.2, 0.1], abs=1e-5)
    added.take(edits[2:])
    assert added.edits()[1].strength == pytest.approx(0.2, abs=1e-5) == added.edits()[2].strength
    assert sum(int(a.sum()) for a in added.active.values()) == 3


def test_units_are_the_size_of_what_is_put_out_beside_that_of_the_codes(model: CodebookTransformer) -> None:
    tokens = torch.randint(20, (3, 12))
    seen = []
    handle = model.model.gpt_neox.layers[1].mlp.register_forward_hook(lambda _m, _a, out: seen.append(out))
    with torch.no_grad(), model.session(record=True) as session:
        model(tokens)
    handle.remove()
    ids = session.recorded["L1:mlp"][0].ids[0]
    codes = model.layer("L1:mlp").table[0].detach()[ids]
    expected = seen[0].square().mean().sqrt() / codes.square().mean().sqrt()
    assert float(Strengths(model, ["all"], tokens).units["L1:mlp"]) == pytest.approx(float(expected), rel=1e-4)


def test_the_most_promising_codes_wake_until_there_is_no_room_and_useless_ones_doze_off(added: Strengths) -> None:
    slopes = {name: torch.randn_like(values) for name, values in added.values.items()}
    everyone = torch.cat([slope.flatten() for slope in slopes.values()])
    for more in (10, 100, 100):
        added.wake(slopes, more)
    awake = torch.cat([active.flatten() for active in added.active.values()])
    assert int(awake.sum()) == MOST and set(everyone[awake].tolist()) == set(everyone.sort().values[:MOST].tolist())
    for name, values in added.values.items():
        values.fill_(2 * LEAST if name == "L0:mlp" else LEAST / 2)
    added.settle()
    added.doze()
    assert added.active["L0:mlp"].any() and not added.active["L1:mlp"].any()
    none = {name: values.abs() for name, values in slopes.items()}  # nothing that would help
    before = added.active["L1:mlp"].clone()
    added.wake(none, 10)
    assert torch.equal(added.active["L1:mlp"], before)


def test_strengths_stay_between_nothing_and_the_cap_and_are_none_where_a_code_is_not_active(added: Strengths) -> None:
    added.take((Edit("L0.mlp", 5, "add", 0.3, "generated"),))
    for values in added.values.values():
        values.fill_(1000.0)
    added.settle()
    assert [e.strength for e in added.edits()] == pytest.approx([CAP])
    added.values["L0:mlp"].fill_(-1.0)
    added.settle()
    assert added.edits() == ()
