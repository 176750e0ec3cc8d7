"""Finding codebooks among the parameter names of a model whose modules were wrapped.

Each name is cut into module names. A module that a codebook was put around is called `module_layer` and its codebook
`codebook_layer`; taking `module_layer` out gives back the model's own names, however deeply wrapped. What stands beside
a `module_layer` was attached to the wrapper and never runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from backend.errors import CheckpointError

_Node = dict[str, Any]  # module name -> _Node, or parameter name -> Tensor


@dataclass(frozen=True)
class Backbone:
    """How one kind of model names its modules: the list of layers, then modules inside a layer."""

    layers: str
    attention: tuple[str, ...]  # those at which an `attn` codebook may hang; the last holds the projections
    qkv: str = ""

    def place(self, path: str, wrapped: bool) -> str | None:
        """Return the configuration's name for a codebook that hangs at `path` in its layer."""
        if path == "":
            return "transformer_block" if wrapped else "attn_plus_mlp"
        if path in self.attention and wrapped:
            return "attn"
        if path == self.attention[-1]:
            return "attn_preproj"
        if path == "mlp":
            return "mlp"
        if path == "mlp.act":
            return "mlp_mid"
        return "qkv" if self.qkv and path == self.qkv and wrapped else None


BACKBONES = {
    "gpt2": Backbone("transformer.h", ("attn",), "attn.c_attn"),
    "gpt_neo": Backbone("transformer.h", ("attn", "attn.attention")),
    "gpt_neox": Backbone("gpt_neox.layers", ("attention",), "attention.query_key_value"),
}


@dataclass(frozen=True)
class HangingCodebooks:
    """Codebooks at one place of a layer: `table` [group, code, width], LayerNorm's `weight`, `bias` [group, width]."""

    source: str
    table: Tensor
    weight: Tensor | None
    bias: Tensor | None
    grouped: bool


@dataclass
class Parts:
    """All parameters of a checkpoint, sorted.

    Attributes:
        weights: the model's own parameters, under its own names.
        codebooks: (layer, place) -> the codebooks there.
        idle: (layer, place) -> where a codebook hangs that never runs; under each place that it may have been meant for.
    """

    weights: dict[str, Tensor] = field(default_factory=dict)
    codebooks: dict[tuple[int, str], HangingCodebooks] = field(default_factory=dict)
    idle: dict[tuple[int, str], str] = field(default_factory=dict)


def take_apart(weights: dict[str, Tensor], backbone: Backbone, count: int) -> Parts:
    """Sort all parameters of a model with `count` layers.

    Raises:
        CheckpointError: a name or shape that no such checkpoint has; the message names it.
    """
    parts = Parts()
    prefix = f"{backbone.layers}."
    trees: dict[int, _Node] = {}
    for name, tensor in weights.items():
        layer, _, rest = name.removeprefix(prefix).partition(".")
        if not name.startswith(prefix) or not layer.isdigit():
            parts.weights[name] = tensor
            continue
        if int(layer) >= count:
            raise CheckpointError(f"{name!r} is of layer {layer}, but the base model has {count} layers. Check --base.")
        _insert(trees.setdefault(int(layer), {}), name, rest.split("."), tensor)
    for number, tree in trees.items():
        _sort(tree, number, f"{prefix}{number}", backbone, parts)
    return parts


def _insert(node: _Node, name: str, modules: list[str], tensor: Tensor) -> None:
    for module in modules[:-1]:
        node = node.setdefault(module, {})
        if isinstance(node, Tensor):
            raise CheckpointError(f"{name!r} is the name of a parameter inside another parameter.")
    if modules[-1] in node:
        raise CheckpointError(f"{name!r} is the name of both a parameter and a module.")
    node[modules[-1]] = tensor


def _sort(tree: _Node, layer: int, prefix: str, backbone: Backbone, parts: Parts) -> None:
    """Sort one layer; of a parameter that is there twice, the one that runs is taken."""
    spare: dict[str, Tensor] = {}
    running: dict[str, Tensor] = {}
    for path, wrapped, value, runs in _walk(tree, "", True):
        source = f"{prefix}.{path}".rstrip(".")
        if isinstance(value, Tensor):
            (running if runs else spare)[f"{prefix}.{path}"] = value
            continue
        # safetensors leave out the module that an idle wrapper shares, so what hangs there may have been wrapped or not
        places = [backbone.place(path, wrapped)] if runs else [backbone.place(path, True), backbone.place(path, False)]
        place = next(filter(None, places), None)
        if place is None:
            raise CheckpointError(
                f"There is a codebook at {source!r}, which is not a place that codebook-features knows."
            )
        if not runs:
            parts.idle |= {(layer, possible): source for possible in places if possible is not None}
        elif (layer, place) in parts.codebooks:
            raise CheckpointError(f"There are two {place!r} codebooks in layer {layer}; the second is at {source!r}.")
        else:
            parts.codebooks[layer, place] = _codebook(value, f"{source}.codebook_layer")
    parts.weights |= spare | running


def _walk(node: _Node, path: str, active: bool) -> Iterator[tuple[str, bool, Any, bool]]:
    """Yield (path without wrappers, whether it is wrapped, a tensor or a codebook's node, whether it runs)."""
    wrapped = "module_layer" in node
    for name, child in node.items():
        if name == "codebook_layer" and isinstance(child, dict):
            yield path, wrapped, child, active
        elif name == "module_layer" and isinstance(child, dict):
            yield from _walk(child, path, active)
        else:
            inner = f"{path}.{name}".removeprefix(".")
            if isinstance(child, dict):
                yield from _walk(child, inner, active and not wrapped)
            else:
                yield inner, False, child, active and not wrapped


def _codebook(node: _Node, source: str) -> HangingCodebooks:
    codebook = node.get("codebook")
    if not isinstance(codebook, dict):
        raise CheckpointError(f"{source!r} holds no 'codebook.weight'.")
    if "weight" in codebook:
        parts, grouped = [node], False
    else:
        names = sorted(codebook, key=lambda name: (len(name), name))
        if names != [str(i) for i in range(len(names))] or not all(isinstance(codebook[name], dict) for name in names):
            raise CheckpointError(f"{source}.codebook: groups must be numbered from 0 without gaps, not {names[:8]}.")
        parts, grouped = [codebook[name] for name in names], True
    tables: list[Tensor] = []
    for i, part in enumerate(parts):
        name = f"{source}.codebook.{i}" if grouped else source
        table = part.get("codebook", {}).get("weight")
        if not isinstance(table, Tensor) or table.ndim != 2 or (tables and table.shape != tables[0].shape):
            raise CheckpointError(f"'{name}.codebook.weight' must be a matrix [codes, width], the same in all groups.")
        if extra := part.keys() - {"codebook", "ln", "counts"} | part["codebook"].keys() - {"weight"}:
            raise CheckpointError(f"{name!r} holds {sorted(extra)}, which codebooks do not have.")
        tables.append(table.float())
    norms = [[part.get("ln", {}).get(key) for part in parts] for key in ("weight", "bias")]
    for key, tensors in zip(("weight", "bias"), norms, strict=True):
        if any(t is not None and t.shape != (tables[0].shape[1],) for t in tensors):
            raise CheckpointError(
                f"An 'ln.{key}' of {source!r} must have {tables[0].shape[1]} values, as its codes have."
            )
        if any(t is None for t in tensors) and any(t is not None for t in tensors):
            raise CheckpointError(f"Some groups of {source!r} have an 'ln.{key}' and some have none.")
    weight, bias = (torch.stack([t.float() for t in tensors]) if tensors[0] is not None else None for tensors in norms)
    return HangingCodebooks(source, torch.stack(tables), weight, bias, grouped)
