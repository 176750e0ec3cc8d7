"""Codebooks in real, tiny Hugging Face models of seven kinds: hooks in the right place, caches, sessions, files."""

import numpy as np
import pytest
import torch
from transformers import (
    GemmaConfig,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    OPTConfig,
    Qwen2Config,
)

from backend.catalog.cards import Card
from backend.errors import CheckpointError, UnknownCode, Unsupported
from backend.families.transformer.checkpoint import build_model, load_checkpoint, save_checkpoint
from backend.nn.insertion.placement import PLACES, Placement
from backend.nn.sampling import Sampler
from backend.types import Edit

COMMON = {"vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
CONFIGS = {
    "gpt2": lambda: GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64, **COMMON),
    "gpt_neo": lambda: GPTNeoConfig(
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=8,
        max_position_embeddings=64,
        **COMMON,
    ),
    "gpt_neox": lambda: GPTNeoXConfig(**SIZES, **COMMON),
    "llama": lambda: LlamaConfig(**SIZES, num_key_value_heads=2, **COMMON),
    "qwen2": lambda: Qwen2Config(**SIZES, num_key_value_heads=2, **COMMON),
    "gemma": lambda: GemmaConfig(**SIZES, num_key_value_heads=2, head_dim=16, **COMMON),
    "opt": lambda: OPTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        word_embed_proj_dim=32,
        max_position_embeddings=64,
        **COMMON,
    ),
}


def make(kind, *placements):
    torch.manual_seed(0)
    model = build_model(CONFIGS[kind](), placements or (Placement("attn", codes=12, k=2), Placement("mlp", codes=20)))
    for parameter in model.model.parameters():  # weights large enough that edits matter
        if parameter.ndim > 1:
            parameter.data *= 3
    return model


@pytest.fixture(scope="module")
def ids():
    return torch.randint(3, 60, (2, 10), generator=torch.Generator().manual_seed(0))


def greedy(model, ids, cached):
    return model.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=12,
        do_sample=False,
        use_cache=cached,
        eos_token_id=None,
        pad_token_id=0,
    )


@pytest.mark.parametrize("kind", CONFIGS)
def test_generate_gives_the_same_tokens_with_and_without_its_cache_also_under_edits(kind, ids):
    model = make(kind)
    assert torch.equal(greedy(model, ids, True), greedy(model, ids, False))
    edits = [Edit("L0.mlp", 3, where="generated"), Edit("L1.attn.h1", 5, "blend", 0.7, (2, 11))]
    made = []
    for cached in (True, False):
        with model.session(edits, prompt_length=10):
            made.append(greedy(model, ids, cached))
    assert torch.equal(*made)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("place", PLACES)
def test_every_place_holds_its_codes_and_nothing_else_changes(kind, place, ids):
    if place == "qkv" and kind not in ("gpt2", "gpt_neox"):
        with pytest.raises(Unsupported):
            make(kind, Placement(place, codes=8))
        return
    model = make(kind, Placement(place, codes=8, layers=(1,)))
    with model.disabled():
        plain = model(ids, output_hidden_states=True)
    torch.manual_seed(0)
    bare = build_model(CONFIGS[kind](), ())
    bare.model.load_state_dict(model.model.state_dict())
    assert torch.equal(bare(ids).logits, plain.logits)
    with model.session(record=True) as session:
        coded = model(ids, output_hidden_states=True)
    assert torch.equal(coded.hidden_states[1], plain.hidden_states[1])  # layer 0 has no codebooks
    assert not torch.allclose(coded.logits, plain.logits)
    ((name, (found,)),) = session.recorded.items()
    layer = model.layer(name)
    assert found.ids.shape == (layer.config.groups, 20, 1)
    width = {"mlp_mid": (64, 128), "qkv": (96, 96)}.get(place, (32, 64))
    assert layer.config.dim in width
    if place == "block" and kind == "gpt2":
        assert torch.allclose(
            model.model.transformer.ln_f(layer.combine(found.ids)[0].reshape(2, 10, 32)), coded.hidden_states[2]
        )


def test_codes_of_the_mlp_are_nearest_to_what_the_mlp_puts_out(ids):
    model = make("llama", Placement("mlp", codes=20, layers=(0,)))
    seen = []
    handle = model.model.model.layers[0].mlp.register_forward_hook(lambda _m, _a, out: seen.append(out), prepend=True)
    with model.session(record=True) as session:
        model(ids)
    handle.remove()
    distance = torch.cdist(seen[0].reshape(-1, 32), model.layer("L0:mlp").table[0])
    assert torch.equal(session.recorded["L0:mlp"][0].ids[0, :, 0], distance.argmin(-1))


@pytest.mark.parametrize("kind", CONFIGS)
def test_saving_and_loading_is_exact_and_safetensors_only(kind, ids, tmp_path):
    model = make(kind)
    save_checkpoint(model, tmp_path / "m", Card())
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "card.json",
        "codebooks.json",
        "config.json",
        "model.safetensors",
    ]
    again = load_checkpoint(tmp_path / "m")
    assert torch.equal(again(ids).logits, model(ids).logits)
    model.layer("L0:mlp").table.data[0, 0, 0] += 1
    save_checkpoint(model, tmp_path / "m", Card())
    assert torch.equal(load_checkpoint(tmp_path / "m").layer("L0:mlp").table, model.layer("L0:mlp").table)


def test_a_truncated_or_wrong_checkpoint_is_a_named_error(tmp_path):
    model = make("gpt2")
    save_checkpoint(model, tmp_path / "m", Card())
    weights = tmp_path / "m" / "model.safetensors"
    whole = weights.read_bytes()
    for wrong in (whole[: len(whole) // 2], b"", b"\x80\x04pickle"):
        weights.write_bytes(wrong)
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            load_checkpoint(tmp_path / "m")
    weights.write_bytes(whole)
    books = tmp_path / "m" / "codebooks.json"
    books.write_text(books.read_text().replace('"codes": 20', '"codes": 21'))
    with pytest.raises(CheckpointError, match="Wrong shape"):
        load_checkpoint(tmp_path / "m")
    books.write_text('{"placements": [{"place": "mlp", "wrong": 1}]}')
    with pytest.raises(CheckpointError, match="wrong"):
        load_checkpoint(tmp_path / "m")


def test_a_session_leaves_the_model_as_it_was_even_after_an_error(ids):
    model = make("gpt2")
    state = {k: v.clone() for k, v in model.state_dict().items()}
    before = model(ids).logits
    with pytest.raises(ZeroDivisionError), model.session([Edit("L0.mlp", 3)]):
        assert not torch.equal(model(ids).logits, before)
        raise ZeroDivisionError
    assert torch.equal(model(ids).logits, before)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in state.items())
    with model.session([]):
        assert torch.equal(model(ids).logits, before)


def test_edits_that_name_nothing_are_refused_before_anything_runs():
    model = make("gpt2")
    for wrong in (Edit("L9.mlp", 0), Edit("L0.mlp", 20), Edit("L0.mlp", -1, "ban"), Edit("L0.mlp", 0, slot=1)):
        with pytest.raises(UnknownCode), model.session([wrong]):
            raise AssertionError("the session opened")


def test_positions_count_from_the_first_token_that_is_not_padding(ids):
    model = make("gpt2")
    short = ids[:1, :6]
    padded = torch.cat((torch.zeros((1, 4), dtype=torch.long), short), dim=1)
    mask = (torch.arange(10) >= 4).long()[None]
    for edit in (Edit("L0.mlp", 3, where=(2,)), Edit("L0.mlp", 3, where=(-1,))):
        with model.session([edit], prompt_length=6, record=True) as session:
            model(padded, attention_mask=mask)
        forced = session.recorded["L0:mlp"][0].ids[0, :, 0] == 3
        assert forced[4 + (edit.where[0] % 6)]
        with model.session(record=True) as session:
            model(padded, attention_mask=mask)
        plain = session.recorded["L0:mlp"][0].ids[0, :, 0] == 3
        assert (forced != plain).sum() <= 1


def test_prompt_and_generated_split_at_the_prompt_length(ids):
    model = make("gpt2")
    for where, rows in (("prompt", slice(0, 7)), ("generated", slice(7, 10)), ("all", slice(0, 10))):
        with model.session([Edit("L0.mlp", 3, where=where)], prompt_length=7, record=True) as session:
            model(ids[:1])
        chosen = session.recorded["L0:mlp"][0].ids[0, :, 0]
        with model.session(record=True) as session:
            model(ids[:1])
        expected = session.recorded["L0:mlp"][0].ids[0, :, 0].clone()
        expected[rows] = 3
        assert torch.equal(chosen, expected)


def test_the_sampler_agrees_with_generate_and_shares_its_noise_between_runs(ids):
    model = make("gpt2")
    sampler = Sampler(model.model, ids, temperature=0)
    for _ in range(12):
        sampler.step()
    assert torch.equal(sampler.tokens, greedy(model, ids, True))
    runs = []
    for _ in range(2):
        sampler = Sampler(model.model, ids, seed=4)
        for _ in range(12):
            sampler.step()
        runs.append(sampler.tokens)
    assert torch.equal(*runs)


def test_the_sampler_draws_from_the_models_distribution():
    model = make("gpt2")
    prompt = torch.tensor([[5, 6, 7]])
    expected = model(prompt).logits[0, -1].softmax(-1).detach().numpy()
    sampler = Sampler(model.model, prompt.repeat(20_000, 1), seed=1)
    drawn = np.bincount(sampler.step().numpy(), minlength=64) / 20_000
    assert np.abs(drawn - expected).max() < 4 * np.sqrt(0.25 / 20_000)
    sampler = Sampler(model.model, prompt.repeat(2_000, 1), seed=1, top_k=3)
    assert set(sampler.step().tolist()) <= set(np.argsort(-expected)[:3].tolist())


def test_a_place_given_twice_a_missing_layer_and_an_uneven_split_are_refused():
    for wrong in (
        (Placement("mlp"), Placement("mlp", layers=(1,))),
        (Placement("mlp", layers=(2,)),),
        (Placement("mlp", groups=3),),
    ):
        with pytest.raises(ValueError):
            make("gpt2", *wrong)
    with pytest.raises(ValueError):
        Placement("nowhere")
