"""Where things are inside a Hugging Face causal language model, found by structure and not by model type.

The decoder layers are the `ModuleList` as long as the configuration says there are layers; attention, its output
projection and the feed-forward block are found among their children by the names that the transformers library uses.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from backend.errors import Unsupported

_ATTENTION = ("attn", "self_attn", "attention", "self_attention")
_OUT_PROJECTION = ("o_proj", "out_proj", "c_proj", "dense", "wo", "out_lin", "proj")
_FUSED_QKV = ("c_attn", "query_key_value", "qkv_proj", "Wqkv")
_MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe")
_LAST_LINEAR = ("fc2",)  # OPT keeps its feed-forward matrices in the layer itself
_ACTIVATION = ("act", "act_fn", "activation_fn", "gelu_impl")


@dataclass(frozen=True)
class LayerParts:
    """The modules of one decoder layer; None where it has none of that kind."""

    layer: nn.Module
    attention: nn.Module
    out_projection: nn.Module
    mlp: nn.Module
    qkv: nn.Module | None
    activation: nn.Module | None


def _child(module: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    return next((child for name in names if isinstance(child := getattr(module, name, None), nn.Module)), None)


def decoder_layers(model: PreTrainedModel) -> list[LayerParts]:
    """Find the parts of every decoder layer, first layer first.

    Raises:
        Unsupported: the model is built in a way this function does not know.
    """
    expected = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        # an encoder's stack, or the vision tower's, may be as long: only this one holds attention under a known name
        if isinstance(module, nn.ModuleList) and len(module) == expected and _child(module[0], _ATTENTION):
            return [_take_apart(model, layer) for layer in module]
    raise Unsupported(
        f"No stack of {expected} decoder layers with attention was found in a {type(model).__name__}. "
        "Codebooks go into causal language models whose layers have attention and a feed-forward block."
    )


def _take_apart(model: PreTrainedModel, layer: nn.Module) -> LayerParts:
    attention = _child(layer, _ATTENTION)
    if attention is not None and (inner := _child(attention, _ATTENTION)) is not None:
        attention = inner  # GPT-Neo wraps its attention twice
    out_projection = None if attention is None else _child(attention, _OUT_PROJECTION)
    mlp = _child(layer, _MLP) or _child(layer, _LAST_LINEAR)
    if attention is None or out_projection is None or mlp is None:
        raise Unsupported(
            f"A layer {type(layer).__name__} of a {type(model).__name__} has no attention output projection or no "
            "feed-forward block under a known name."
        )
    return LayerParts(
        layer=layer,
        attention=attention,
        out_projection=out_projection,
        mlp=mlp,
        qkv=_child(attention, _FUSED_QKV),
        activation=_child(mlp, _ACTIVATION) or _child(layer, _ACTIVATION),
    )


def num_heads(model: PreTrainedModel) -> int:
    """Return the number of attention (query) heads of each layer."""
    return int(model.config.get_text_config().num_attention_heads)
