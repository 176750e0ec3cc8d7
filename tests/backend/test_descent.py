"""Choosing codes by descent: the texts it looks at, its gradients against small steps, its loss against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from backend.families.transformer.checkpoint import build_model
from backend.families.transformer.descent import (
    AFTER,
    BEGINNINGS,
    CONTEXT,
    FARTHEST,
    LIKELY,
    ONCE,
    RIVAL,
    TEMPERATURE,
    Descent,
    Texts,
    texts_of,
    texts_of_beginnings,
)
from backend.families.transformer.strengths import CAP, MOST
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.anatomy import decoder_layers
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Placement
from backend.types import Edit, Item

WORDS, OWN, RIVALS = 20, (17, 18), (15, 16)  # token ids: all, typical of the sea, typical of the kitchen


def item(index: int, topic: str, rng: np.random.Generator, length: int = 40) -> Item:
    tokens = rng.integers(1, 15, length)
    at = rng.integers(14, 30, 3)
    tokens[at] = rng.choice(OWN if topic == "sea" else RIVALS, 3)
    return Item(index, (length,), tokens, tags={"topic": topic})


@pytest.fixture
def items() -> list[Item]:
    rng = np.random.default_rng(0)
    return [item(i, ("sea", "kitchen")[i % 2], rng) for i in range(80)]


@pytest.fixture
def model() -> CodebookTransformer:
    torch.manual_seed(0)
    places = (Placement("attn", codes=24, k=3), Placement("mlp", codes=32, k=4, combine="sum"))
    made = build_model(Shape("gpt_neox", 2, 32, 2, 64).config(WORDS, 48, 0), places).eval()
    with torch.no_grad():
        made.model.get_output_embeddings().weight.mul_(30)  # predictions that differ from each other
    return made


def test_texts_tell_their_topic_up_to_the_first_word_that_is_typical_of_it(items: list[Item]) -> None:
    texts = texts_of(items, "topic", "sea")
    assert texts is not None and texts.topical.sum() == 40 == (~texts.topical).sum()
    for tokens, prompt, own, telling, other in zip(
        texts.tokens.numpy(),
        texts.prompts[:, 0],
        texts.topical,
        texts.telling.numpy(),
        texts.other.numpy(),
        strict=True,
    ):
        first = np.flatnonzero(np.isin(tokens, OWN if own else RIVALS))[0]
        assert np.flatnonzero(telling).tolist() == list(range(max(first - 7, prompt), first + 1))
        behind = first + 1 < len(tokens)
        assert (
            not (telling & other).any() and not other[:prompt].any() and other[first + 1 :].all() == (own or not behind)
        )


def test_nothing_is_typical_of_a_topic_whose_items_are_like_the_others(items: list[Item]) -> None:
    rng = np.random.default_rng(1)
    mixed = [Item(i.index, i.shape, i.payload, tags={"topic": str(rng.integers(2))}) for i in items]
    assert texts_of(mixed, "topic", "1") is None


def beginnings(items: list[Item]) -> Texts:
    """Of the words of the sea, each of which is true by itself."""
    texts = texts_of_beginnings(items, np.isin(np.concatenate([i.payload for i in items]), OWN))
    assert texts is not None
    return texts


def test_texts_of_a_beginning_go_on_with_it_and_the_others_otherwise_behind_the_same_tokens(items: list[Item]) -> None:
    texts = beginnings(items)
    known = {item.payload.tobytes() for item in items}
    natural, put_there, rivals = set(), set(), set()
    for tokens, prompt, own, telling, other in zip(
        texts.tokens.numpy(),
        texts.prompts[:, 0].tolist(),
        texts.topical,
        texts.telling.numpy(),
        texts.other.numpy(),
        strict=True,
    ):
        assert any(p.startswith(tokens[:1].tobytes()) and tokens[1:prompt].tobytes() in p for p in known)
        assert np.flatnonzero(telling).tolist() == [prompt]
        assert (tokens[prompt] in OWN) == own and tokens[prompt - 1] not in OWN
        behind = list(range(prompt + 1, prompt + 1 + AFTER))
        group = rivals if not own else natural if other.any() else put_there
        assert np.flatnonzero(other).tolist() == (behind if group is natural else [])
        if group is natural:
            assert any(tokens[1 : prompt + 1 + AFTER].tobytes() in payload for payload in known)
        group.add(tokens[:prompt].tobytes())
    assert len(natural) == BEGINNINGS and rivals == put_there and len(rivals) > BEGINNINGS / 2


def test_what_begins_too_near_an_end_of_its_item_has_no_texts(items: list[Item]) -> None:
    length = items[0].positions
    for place in (0, CONTEXT.start, CONTEXT.start + 1, length - AFTER - 1, length - AFTER, length - 1):
        rare = [Item(i.index, i.shape, np.where(np.arange(length) == place, 19, i.payload)) for i in items]
        truth = np.concatenate([i.payload for i in rare]) == 19
        assert (texts_of_beginnings(rare, truth) is not None) == (CONTEXT.start < place < length - AFTER)


def test_what_begins_nowhere_or_always_follows_its_tokens_has_no_texts(items: list[Item]) -> None:
    payload = np.concatenate([i.payload for i in items])
    assert texts_of_beginnings(items, np.zeros(len(payload), dtype=bool)) is None
    assert texts_of_beginnings(items, np.isin(np.append(0, payload[:-1]), OWN)) is None


def test_no_text_about_others_goes_on_with_a_token_that_begins_it_elsewhere(items: list[Item]) -> None:
    payload = np.concatenate([i.payload for i in items])
    truth = np.isin(payload, OWN) & (np.random.default_rng(0).random(len(payload)) < 0.5)
    texts = texts_of_beginnings(items, truth)
    assert texts is not None
    tells = texts.tokens[texts.telling]
    assert not {*tells[texts.topical].tolist()} & {*tells[~texts.topical].tolist()}


def test_forced_slots_come_in_their_order_whatever_they_are_put_together_with(model: CodebookTransformer) -> None:
    rng = np.random.default_rng(0)
    places = ("all", "prompt", "generated", "generated:2", (1, 3), (-1,))
    tokens = torch.from_numpy(rng.integers(1, WORDS, (3, 10)))
    for _ in range(10):
        edits = [
            Edit(
                "L1.attn.h0",
                int(rng.integers(-1, 24)),
                where=places[rng.integers(6)],
                slot=[None, 0, 1, 2][rng.integers(4)],
            )
            for _ in range(6)
        ]
        with torch.no_grad(), model.session(edits, prompt_length=4, record=True) as session:
            model(tokens)
            rows = {where: model.rows(where, 4) for where in places}
        found = session.recorded["L1:attn"][0].ids[0]
        with torch.no_grad(), model.session(record=True) as session:
            model(tokens)
        ids = session.recorded["L1:attn"][0].ids[0].clone()
        for edit in edits:
            ids[rows[edit.where], slice(None) if edit.slot is None else edit.slot] = edit.code
        assert torch.equal(found, ids)


def test_what_is_added_is_the_sum_of_all_codes_at_their_places(model: CodebookTransformer) -> None:
    seen = []
    handle = decoder_layers(model.model)[0].mlp.register_forward_hook(lambda _m, _a, out: seen.append(out))
    tokens = torch.randint(1, WORDS, (2, 8))
    edits = [
        Edit("L0.mlp", 3, "add", 0.4),
        Edit("L0.mlp", 5, "add", 0.2),
        Edit("L0.mlp", 7, "add", 1.1, (-1,)),
    ]
    with torch.no_grad():
        for some in ([], edits):
            with model.session(some, prompt_length=4):
                model(tokens)
    handle.remove()
    table = model.layer("L0:mlp").table[0].detach()
    expected = seen[0] + 0.4 * table[3] + 0.2 * table[5]
    expected[:, 3] += 1.1 * table[7]
    assert torch.allclose(seen[1], expected, atol=1e-5)


def test_a_model_of_fewer_codes_than_a_round_brings_can_be_searched(items: list[Item]) -> None:
    torch.manual_seed(0)
    shape = Shape("gpt_neox", 2, 32, 2, 64).config(WORDS, 48, 0)
    small = build_model(shape, (Placement("mlp", layers=(1,), codes=6),)).eval()
    found = texts_of(items, "topic", "sea")
    assert found is not None
    descent = Descent(small, found)
    descent.run(1.0, 2)
    assert len(descent.added.edits()) <= 6


def test_the_gradient_by_what_a_layer_puts_out_is_what_a_small_step_does(model: CodebookTransformer) -> None:
    tokens = torch.randint(1, WORDS, (2, 8))
    mlp = decoder_layers(model.model)[1].mlp  # nothing discrete comes after it

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(model(tokens).logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())

    with model.session(probe=True) as session:
        value = loss()
        (slope,) = torch.autograd.grad(value, [session.probes["L1:mlp"]])
    step = torch.zeros_like(slope)
    step[1, 4, 7] = 1e-2
    handle = mlp.register_forward_hook(lambda _m, _a, out: out + step)
    with torch.no_grad(), model.session():
        up = loss()
    handle.remove()
    assert float(up - value.detach()) / 1e-2 == pytest.approx(float(slope[1, 4, 7]), rel=0.05)


@pytest.fixture(params=[False, True], ids=["whole items", "beginnings"])
def texts(items: list[Item], request: pytest.FixtureRequest) -> Texts:
    found = beginnings(items) if request.param else texts_of(items, "topic", "sea")
    assert found is not None and found.where == (ONCE if request.param else f"generated:{found.tokens.shape[1]}")
    return found


def counted(model: CodebookTransformer, texts: Texts, edits: tuple[Edit, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Text by text, without padding it together: nats `[text, token]`, log-probabilities `[text, token, vocabulary]`."""
    nats, logps = [], []
    for tokens, prompt in zip(texts.tokens, texts.prompts[:, 0].tolist(), strict=True):
        with torch.no_grad(), model.session(edits, prompt_length=prompt):
            logp = model(tokens[None]).logits[0].log_softmax(-1)
        nats.append([0.0, *(-logp[i, tokens[i + 1]].item() for i in range(len(tokens) - 1))])
        logps.append(np.vstack([np.zeros((1, WORDS)), logp[:-1].numpy()]))  # before each token
    return np.array(nats), np.array(logps)


def loss_of(descent: Descent, model: CodebookTransformer, texts: Texts, edits: tuple[Edit, ...]) -> float:
    with torch.no_grad(), model.session(edits, prompt_length=texts.prompts):
        return float(descent._loss(torch.arange(len(texts.topical)), 1.5))


def test_the_loss_is_the_one_that_the_module_names(texts: Texts, model: CodebookTransformer) -> None:
    descent = Descent(model, texts)
    descent.run(1.0, 2)
    assert (edits := descent.added.edits())
    own, other = texts.topical.numpy(), texts.other.numpy()
    plain, usual = counted(model, texts, ())
    nats, logp = counted(model, texts, edits)
    told, before = ((table * texts.telling.numpy()).sum(1) for table in (nats, plain))
    rivals = np.minimum(told[~own], before[~own] + FARTHEST).mean()
    written = np.exp(logp[other] / TEMPERATURE)
    unlikely = -(written / written.sum(-1, keepdims=True) * usual[other]).sum(-1).mean()
    expected = told[own].mean() - RIVAL * rivals + 1.5 * (LIKELY * nats[other].mean() + unlikely)
    assert loss_of(descent, model, texts, edits) == pytest.approx(
        expected, abs=5e-3
    )  # what is usual is kept in half precision


def test_slopes_are_what_a_little_of_each_code_does(
    texts: Texts, model: CodebookTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.families.transformer.descent.BATCH", 1000)  # every step looks at all texts
    descent = Descent(model, texts)
    slopes = descent._slopes(1.5)["L1:mlp"][0] / descent.added.units["L1:mlp"]  # nothing discrete comes after it
    assert slopes[0].abs().max() > 0.5
    plain = loss_of(descent, model, texts, ())
    for code in (*slopes[0].topk(2).indices.tolist(), *slopes[0].topk(2, largest=False).indices.tolist()):
        a_little = (Edit("L1.mlp", code, "add", 1e-3, texts.where),)
        change = (loss_of(descent, model, texts, a_little) - plain) / 1e-3
        assert change == pytest.approx(float(slopes[0, code]), rel=0.05, abs=0.02)


def test_a_descent_makes_the_topic_likelier_with_few_codes(texts: Texts, model: CodebookTransformer) -> None:
    before = {k: v.clone() for k, v in model.state_dict().items()}
    descent = Descent(model, texts)
    descent.run(1.0, 6)
    edits = descent.added.edits()
    assert 1 < len(edits) <= MOST and len({(e.site, e.code) for e in edits}) == len(edits)
    assert {(e.action, e.where) for e in edits} == {("add", texts.where)}
    assert [e.strength for e in edits] == sorted((e.strength for e in edits), reverse=True)
    assert all(0 < e.strength <= CAP and Edit.parse(str(e)) == e for e in edits)
    own = texts.topical.numpy()
    plain, nats = (counted(model, texts, e)[0] * texts.telling.numpy() for e in ((), edits))
    gained = (plain - nats).sum(1)
    assert gained[own].mean() > max(0, gained[~own].mean()) + 0.5
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    again = Descent(model, texts)
    again.run(1.0, 6)
    assert again.added.edits() == edits


def test_tags_of_many_values_texts_without_the_tag_and_short_ones_do_no_harm(
    items: list[Item], model: CodebookTransformer
) -> None:
    rng = np.random.default_rng(0)
    many = [item(n, "sea" if n % 2 else "kitchen", rng) for n in range(300)]
    split = [
        Item(i.index, i.shape, i.payload, tags={"topic": i.tags["topic"] if n % 2 else f"kitchen {n % 70}"})
        for n, i in enumerate(many)
    ]
    texts = texts_of(split, "topic", "sea")
    assert texts is not None and (~texts.topical).sum() <= 256
    assert texts_of([*items, Item(0, (3,), np.arange(3))], "topic", "sea") is not None
    assert texts_of([Item(0, (3,), np.arange(3))], "topic", "sea") is None
    short = [
        Item(i.index, (9,), np.append(i.payload[:8], 17 if i.tags["topic"] == "sea" else 15), tags=i.tags)
        for i in items
    ]
    texts = texts_of(short, "topic", "sea")
    assert texts is not None and texts.tokens.shape[1] == 9
    descent = Descent(model, texts)
    descent.run(1.0, 2)
    assert descent.added.edits() and all(strengths.isfinite().all() for strengths in descent.added.values.values())
