"""FVQ image tokenizers (Chang et al., 2025; github.com/yfChang-cv/FVQ), as trained and converted to plain codes.

The network's names are LlamaGen's; codes are not normalised. An un-converted file holds raw codes and the VQBridge that
makes the codes of them, which is applied once, as the authors' conversion does:

1. The raw table `[K, d]` is seen as a picture of `sqrt(K) x sqrt(K)` pixels with d channels and cut into patches.
2. Each patch becomes a token; transformer blocks of 4 heads mix them. The DiT form has positions, and scales, shifts
   and gates computed from the one class of its table (adaLN); the ViT form has none of these.
3. A linear layer makes d values for every pixel again: the codes.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear, scaled_dot_product_attention, silu

from backend.errors import CheckpointError
from backend.families.image_tokenizer.formats.image_weights import (
    ImportedTokenizer,
    Translated,
    assemble,
    check_tensor,
    find_file,
    read_state,
    translate,
)
from backend.families.image_tokenizer.formats.llamagen import EMBEDDING, RULES
from backend.formats.configurations import read_claims

_BRIDGE = "quantize.qbridge."
_HEADS = 4  # of all published sizes


def read(path: Path, base: Path | None) -> ImportedTokenizer:
    """Read an FVQ tokenizer, converted or not.

    Args:
        path: the `.pt` file, or a folder with one.
        base: optional: its configuration (JSON or YAML), held against the weights.

    Raises:
        CheckpointError: incomplete, unsafe, or contradicted by the configuration.
        BadInput: the folder holds none or several checkpoints.
    """
    file = find_file(path)
    claims = read_claims(path, base, expect="codebook_size")
    if (claimed := claims.get("codebook_l2_norm")) not in (None, False):
        raise CheckpointError(
            f"The configuration of {file} says codebook_l2_norm {str(claimed)[:20]}; FVQ's codes are not normalised. "
            "Import it with the format llamagen."
        )
    if claims.get("num_heads", _HEADS) != _HEADS:
        raise CheckpointError(
            f"The configuration of {file} says num_heads {claims['num_heads']!r}; VQBridges have {_HEADS}."
        )
    state, warnings = read_state(file)
    tensors = translate(state, RULES, file)
    table = tensors.take(EMBEDDING)
    if any(name.startswith(_BRIDGE) for name in tensors.rest):
        table = _fold(table, tensors)
    return assemble(tensors, table, claims=claims, warnings=warnings)


@torch.no_grad()
def _fold(raw: Tensor, tensors: Translated) -> Tensor:
    """Return the codes that the bridge makes of the raw ones `[K, d]`."""
    bridge = {name.removeprefix(_BRIDGE): tensors.take(name) for name in list(tensors.rest) if name.startswith(_BRIDGE)}
    try:
        codes = _bridge(raw, bridge)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"The VQBridge of {tensors.source} (codes {tuple(raw.shape)}) cannot be computed: "
            f"{'there is no ' if isinstance(error, KeyError) else ''}{error}. The file is incomplete or of another form."
        ) from error
    return check_tensor("the codes made by the bridge", codes, tensors.source)


def _bridge(raw: Tensor, weights: dict[str, Tensor]) -> Tensor:
    codes, dim = raw.shape
    side = math.isqrt(codes)
    embed = weights.pop("x_embedder.proj.weight")  # [width, d, patch, patch]
    width, patch = embed.shape[0], embed.shape[-1]
    if side * side != codes or side % patch or width % _HEADS:
        raise ValueError(
            f"{codes} codes cannot be laid out in a square of patches of {patch} x {patch}, or a width of {width} cannot be "
            f"split over {_HEADS} heads"
        )
    x = conv2d(raw.T.reshape(1, dim, side, side), embed, weights.pop("x_embedder.proj.bias"), stride=patch)
    x = x.flatten(2).transpose(1, 2)  # [1, token, width]
    if "pos_embed" in weights:
        places = weights.pop("pos_embed")
        if places.shape != x.shape:  # it would be spread over all of them
            raise ValueError(f"pos_embed {tuple(places.shape)} is not {tuple(x.shape)}")
        x = x + places
    # one class, or the last of many: the one that stands for "no class"
    label = weights.pop("y_embedder.embedding_table.weight", None)
    condition = None if label is None else silu(label[-1:])
    for i in range(1 + max(int(match[1]) for name in weights if (match := re.match(r"blocks\.(\d{1,4})\.", name)))):
        x = _block(x, f"blocks.{i}.", weights, condition)
    shift, scale = _modulation(weights, "final_layer.", condition, 2)
    x = _affine(_norm(x) * (1 + scale) + shift, weights, "final_layer.linear.")
    if weights:
        raise ValueError(f"{sorted(weights)[:5]} belong to no known part")
    grid = side // patch
    x = x.reshape(grid, grid, patch, patch, dim).permute(4, 0, 2, 1, 3)  # [d, row, row in patch, column, column in it]
    return x.reshape(dim, codes).T.contiguous()


def _block(x: Tensor, name: str, weights: dict[str, Tensor], condition: Tensor | None) -> Tensor:
    modulation = _modulation(weights, name, condition, 6)
    shift, scale = modulation[:2]
    gate = modulation[2] if condition is not None else torch.ones(())
    qkv = _affine(_norm(x) * (1 + scale) + shift, weights, f"{name}attn.qkv.")
    q, k, v = qkv.unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)  # each [1, head, token, width of a head]
    mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    x = x + gate * _affine(mixed, weights, f"{name}attn.proj.")
    shift, scale = modulation[3:5]
    gate = modulation[5] if condition is not None else torch.ones(())
    hidden = gelu(_affine(_norm(x) * (1 + scale) + shift, weights, f"{name}mlp.fc1."), approximate="tanh")
    return x + gate * _affine(hidden, weights, f"{name}mlp.fc2.")


def _modulation(weights: dict[str, Tensor], name: str, condition: Tensor | None, parts: int) -> tuple[Tensor, ...]:
    """Return shift, scale (and gate) of each half of a block: of the condition, or such as change nothing."""
    if condition is None:
        return (torch.zeros(()),) * parts
    return _affine(condition, weights, f"{name}adaLN_modulation.1.")[:, None].chunk(parts, dim=-1)


def _norm(x: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:], eps=1e-6)


def _affine(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    weight, bias = weights.pop(f"{name}weight"), weights.pop(f"{name}bias")
    if bias.shape != weight.shape[:1]:  # a single number would be spread over all of them
        raise ValueError(f"{name}bias {tuple(bias.shape)} does not fit {name}weight {tuple(weight.shape)}")
    return linear(x, weight, bias)
