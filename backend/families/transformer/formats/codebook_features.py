"""Checkpoints of the public codebook-features code (Tamkin et al., 2024; github.com/taufeeque9/codebook-features).

1. `config.json` describes the codebooks only: places, kinds, numbers of codes. The model below comes from elsewhere.
2. Parameters are sorted into the model's own and codebooks (`wrapped_modules`). A codebook that never runs is left out,
   with a warning.
3. Where a codebook hangs says what its place is; it must agree with the configuration, as must all shapes.

The code's rules: LayerNorm in front of every codebook, the mean of k codes; `inner_product` divides by the length of
the codes, so that it orders them as cosine similarity does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from backend.errors import CheckpointError
from backend.families.transformer.formats.imported import Imported
from backend.families.transformer.formats.wrapped_modules import BACKBONES, HangingCodebooks, Parts, take_apart
from backend.formats.checkpoints import read_config, read_json, read_weights
from backend.nn.insertion.placement import Place, Placement
from backend.nn.quantize import Similarity

PLACES: dict[str, Place] = {
    "attn_preproj": "attn",
    "attn": "attn_out",
    "mlp": "mlp",
    "mlp_mid": "mlp_mid",
    "qkv": "qkv",
    "attn_plus_mlp": "attn_plus_mlp",
    "transformer_block": "block",
}
_SIMILARITIES: dict[str, Similarity] = {"inner_product": "cosine", "euclidean": "euclidean"}
# a place that builds a module anew loses the codebooks put into it before
_LOST_BY = {"attn_plus_mlp": set(PLACES) - {"attn_plus_mlp"}, "attn_preproj": {"attn", "qkv"}}
_BUFFERS = re.compile(r"(^|\.)(masked_bias|attn\.bias|attention\.bias|rotary_emb\.inv_freq|counts)$")


@dataclass(frozen=True)
class _Kind:
    """One entry of `codebook_at` with its settings, scalars broadcast."""

    at: str
    groups: int
    codes: int
    k: int
    grouped: bool


def read(path: Path, base: Path | None) -> Imported:
    """Read a codebook-features checkpoint folder.

    Args:
        path: folder with `config.json` and `pytorch_model.bin` or `model.safetensors`.
        base: folder (or `config.json`) of the model that the codebooks were put into. Only a model of the paper's
            finite-state machine can do without: its size is read off its weights.

    Raises:
        CheckpointError: a file is missing, cut off or unsafe, or what it says contradicts itself; the key is named.
    """
    data = read_json(path / "config.json")
    if "codebook_at" not in data:
        raise CheckpointError(
            f"{path / 'config.json'} has no 'codebook_at', so it is not a codebook-features checkpoint."
        )
    raw, warnings = read_weights(path)
    weights = _plain_names(raw, path)
    config = read_config(base) if base is not None else _tokfsm_config(weights, data, path)
    backbone = BACKBONES.get(config.model_type)
    if backbone is None:
        raise CheckpointError(
            f"The base model is a {config.model_type!r}; this format knows {', '.join(BACKBONES)}. Check --base."
        )
    notes = list(warnings)
    kinds, layers = _settings(data, config, path)
    parts = take_apart(weights, backbone, int(config.num_hidden_layers))
    weights = _without_copies(parts.weights, config, path)
    placements, codebooks = _placed(kinds, layers, parts, _similarity(data, path), path, notes)
    return Imported(config, placements, {f"model.{name}": t for name, t in weights.items()} | codebooks, tuple(notes))


# -- configuration -------------------------------------------------------------------------------------------------


def _settings(data: dict[str, Any], config: PretrainedConfig, path: Path) -> tuple[list[_Kind], list[int]]:
    source = path / "config.json"
    at = [data["codebook_at"]] if isinstance(data["codebook_at"], str) else data["codebook_at"]
    if not isinstance(at, list) or not all(isinstance(place, str) for place in at):
        raise CheckpointError(f"{source}: 'codebook_at' must be one of {sorted(PLACES)} or a list of them, not {at!r}.")
    if unknown := [place for place in at if place not in PLACES]:
        raise CheckpointError(
            f"{source}: 'codebook_at' names {unknown}, which are not places. Known: {sorted(PLACES)}."
        )
    if len(set(at)) != len(at):
        raise CheckpointError(f"{source}: 'codebook_at' names a place twice: {at}.")
    columns = {}
    defaults = {"codebook_type": "vanilla", "num_codebooks": 1, "num_codes": 100, "k_codebook": 1}
    for key, default in defaults.items():
        value = data.get(key, default)
        column = value if isinstance(value, list) else [value] * len(at)
        if len(column) != len(at):
            raise CheckpointError(f"{source}: {key!r} has {len(column)} entries for {len(at)} places in 'codebook_at'.")
        columns[key] = column
    extra = data.get("codebook_kwargs") or {}
    if not isinstance(extra, dict) or extra.get("soft_snap") or extra.get("snap", True) is not True:
        raise CheckpointError(
            f"{source}: 'codebook_kwargs' asks for {extra}; only hard codebooks that are on can be read."
        )
    heads = int(config.num_attention_heads)
    kinds = []
    for i, place in enumerate(at):
        kind, groups = columns["codebook_type"][i], columns["num_codebooks"][i]
        codes, k = columns["num_codes"][i], columns["k_codebook"][i]
        if kind not in ("vanilla", "group"):
            raise CheckpointError(f"{source}: 'codebook_type' must be vanilla or group, not {kind!r}.")
        for key, value in (("num_codebooks", groups), ("num_codes", codes), ("k_codebook", k)):
            if (
                not isinstance(value, int)
                or isinstance(value, bool)
                or (value < 1 and (key, value) != ("num_codebooks", -1))
            ):
                raise CheckpointError(f"{source}: {key!r} of {place!r} must be a whole number above 0, not {value!r}.")
        groups = heads if groups == -1 else groups
        if kind == "vanilla" and groups != 1:
            raise CheckpointError(f"{source}: 'num_codebooks' of {place!r} is {groups}, but a vanilla codebook is one.")
        if k > codes:
            raise CheckpointError(
                f"{source}: 'k_codebook' of {place!r} is {k}, more than its {codes} codes ('num_codes')."
            )
        qkv = place == "qkv"  # always grouped: so many for each of queries, keys and values
        kinds.append(_Kind(place, groups * 3 if qkv else groups, codes, k, kind == "group" or qkv))
    return kinds, _layers(data.get("layers_to_snap", []), int(config.num_hidden_layers), source)


def _layers(value: Any, count: int, source: Path) -> list[int]:
    if value == "all":
        return list(range(count))
    if not isinstance(value, list) or not all(isinstance(i, int) and -count <= i < count for i in value):
        raise CheckpointError(
            f"{source}: 'layers_to_snap' must be 'all' or layers from {-count} to {count - 1}, not {value!r}."
        )
    return sorted({i % count for i in value})


def _similarity(data: dict[str, Any], path: Path) -> Similarity:
    name = data.get("similarity_metric", "inner_product")
    if name not in _SIMILARITIES:
        raise CheckpointError(
            f"{path / 'config.json'}: 'similarity_metric' must be inner_product or euclidean, not {name!r}."
        )
    return _SIMILARITIES[name]


def _tokfsm_config(weights: dict[str, Tensor], data: dict[str, Any], path: Path) -> PretrainedConfig:
    """Return the base of a model of the paper's finite-state machine: a GPT-NeoX whose size its weights show."""
    from transformers import GPTNeoXConfig

    embedding = weights.get("gpt_neox.embed_in.weight")
    first = "gpt_neox.layers.0."
    up = next((t for n, t in weights.items() if n.startswith(first) and n.endswith("dense_h_to_4h.weight")), None)
    at, groups = data["codebook_at"], data.get("num_codebooks")
    at = [at] if isinstance(at, str) else at if isinstance(at, list) else []
    place = at.index("attn_preproj") if "attn_preproj" in at else -1
    heads = groups[place] if isinstance(groups, list) and -1 < place < len(groups) else groups
    digits = path / "fsm.npy", path / "vocab.json"
    complete = embedding is not None and up is not None and place >= 0 and isinstance(heads, int) and heads > 0
    if not complete or not any(file.exists() for file in digits):
        raise CheckpointError(
            f"{path} does not say what model its codebooks were put into. Give its folder or config.json with --base."
        )
    assert embedding is not None and up is not None
    layers = {int(match[1]) for name in weights if (match := re.match(r"gpt_neox\.layers\.(\d+)\.", name))}
    assert isinstance(heads, int)
    return GPTNeoXConfig(
        vocab_size=embedding.shape[0],
        hidden_size=embedding.shape[1],
        num_hidden_layers=max(layers) + 1,
        num_attention_heads=heads,
        intermediate_size=up.shape[0],
        max_position_embeddings=128,
        bos_token_id=embedding.shape[0] - 1,
        eos_token_id=embedding.shape[0] - 1,
        tie_word_embeddings=False,
    )


# -- parameters ----------------------------------------------------------------------------------------------------


def _plain_names(raw: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    weights = {}
    for name, tensor in raw.items():
        weights[name.replace("_orig_mod.", "").removeprefix("module.").removeprefix("model.")] = tensor
    if hooked := next((name for name in weights if name.startswith("blocks.")), None):
        raise CheckpointError(
            f"{path} holds {hooked!r}: it was converted for TransformerLens. Give the folder it was converted from."
        )
    return weights


def _without_copies(weights: dict[str, Tensor], config: PretrainedConfig, path: Path) -> dict[str, Tensor]:
    """Rename the output matrix, leave out buffers and second copies of tied matrices; contradictions are errors."""
    head = weights.pop("embed_out.weight", None)
    if head is not None:
        weights["lm_head.weight"] = head
    embedding = weights.get("gpt_neox.embed_in.weight" if config.model_type == "gpt_neox" else "transformer.wte.weight")
    if config.tie_word_embeddings and "lm_head.weight" in weights and embedding is not None:
        if not torch.equal(weights.pop("lm_head.weight"), embedding):
            raise CheckpointError(
                f"{path}: 'lm_head.weight' is not the embedding, but 'tie_word_embeddings' of the base says it is."
            )
    if config.model_type == "gpt_neox":
        _check_rotary(weights, config, path)
    return {name: tensor for name, tensor in weights.items() if not _BUFFERS.search(name)}


def _check_rotary(weights: dict[str, Tensor], config: PretrainedConfig, path: Path) -> None:
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        return
    size = config.hidden_size // config.num_attention_heads
    turned = int(size * rope.get("partial_rotary_factor", 1.0))
    expected = rope["rope_theta"] ** -(torch.arange(0, turned, 2).float() / turned)
    for name, tensor in weights.items():
        if name.endswith("rotary_emb.inv_freq"):
            if tensor.shape != expected.shape or not torch.allclose(tensor.float(), expected, rtol=0.02):
                raise CheckpointError(
                    f"{path}: {name!r} does not follow from 'rotary_pct' and 'rotary_emb_base' of the base "
                    f"(rotary part {turned} of {size}, base {rope['rope_theta']}). Check --base."
                )


def _placed(
    kinds: Sequence[_Kind], layers: Sequence[int], parts: Parts, similarity: Similarity, path: Path, notes: list[str]
) -> tuple[tuple[Placement, ...], dict[str, Tensor]]:
    """Return placements and tensors of all codebooks; those that are there must be what the configuration says."""
    expected = {(layer, kind.at) for layer in layers for kind in kinds}
    surplus = [codebook.source for key, codebook in parts.codebooks.items() if key not in expected]
    if surplus:
        raise CheckpointError(f"{path}: 'codebook_at' and 'layers_to_snap' say nothing of the codebook {surplus[0]!r}.")
    placements = []
    tensors: dict[str, Tensor] = {}
    without_norm: list[str] = []
    for i, kind in enumerate(kinds):
        present = [layer for layer in layers if (layer, kind.at) in parts.codebooks]
        _explain_missing(kind, [layer for layer in layers if layer not in present], kinds[i + 1 :], parts, path, notes)
        for layer in present:
            codebook = parts.codebooks[layer, kind.at]
            _check_shape(codebook, kind, path)
            tensors |= _tensors(codebook, f"codebooks.L{layer}:{PLACES[kind.at]}")
            if codebook.weight is None or codebook.bias is None:
                without_norm.append(codebook.source)
        if present:
            placements.append(
                Placement(
                    PLACES[kind.at],
                    tuple(present),
                    kind.groups,
                    kind.codes,
                    kind.k,
                    similarity,
                    "mean",
                    layer_norm=True,
                )
            )
    if not placements:
        notes.append("The checkpoint has no codebooks that have an effect; it is imported as the model alone.")
    if without_norm:
        notes.append(
            f"{len(without_norm)} codebook layers have no 'ln' (the first is {without_norm[0]}): "
            "LayerNorm with weight 1 and bias 0 is used, as the public code does. Check the loss of the model."
        )
    return tuple(placements), tensors


def _explain_missing(
    kind: _Kind, missing: Sequence[int], later: Sequence[_Kind], parts: Parts, path: Path, notes: list[str]
) -> None:
    """Warn of codebooks that the public code itself loses or never runs; any other that is missing is an error."""
    if not missing:
        return
    if idle := [parts.idle[layer, kind.at] for layer in missing if (layer, kind.at) in parts.idle]:
        notes.append(
            f"The codebook at {idle[0]} hangs beside the module that runs, without effect; {len(idle)} such left out."
        )
    elif any(kind.at in _LOST_BY.get(other.at, ()) for other in later):
        notes.append(f"The codebooks at {kind.at!r} were lost when those behind them in 'codebook_at' were put in.")
    else:
        raise CheckpointError(
            f"{path}: 'codebook_at' says {kind.at!r}, but the weights have no such codebook in layers {list(missing)}. "
            "The file is incomplete, or the configuration is of another checkpoint."
        )


def _tensors(codebook: HangingCodebooks, name: str) -> dict[str, Tensor]:
    ones = torch.ones(codebook.table.shape[0], codebook.table.shape[2])
    return {
        f"{name}.table": codebook.table,
        f"{name}.ln_weight": ones if codebook.weight is None else codebook.weight,
        f"{name}.ln_bias": torch.zeros_like(ones) if codebook.bias is None else codebook.bias,
    }


def _check_shape(codebook: HangingCodebooks, kind: _Kind, path: Path) -> None:
    groups, codes, _ = codebook.table.shape
    where = f"{path}: the codebook {codebook.source!r}"
    if codebook.grouped != kind.grouped:
        raise CheckpointError(
            f"{where} is {'grouped' if codebook.grouped else 'vanilla'}, but 'codebook_type' says otherwise."
        )
    if groups != kind.groups:
        raise CheckpointError(f"{where} has {groups} groups, but 'num_codebooks' makes {kind.groups}.")
    if codes != kind.codes:
        raise CheckpointError(f"{where} has {codes} codes, but 'num_codes' says {kind.codes}.")
