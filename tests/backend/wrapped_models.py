"""Models with codebooks put in as codebook-features does it: modules are wrapped or changed.

An independent reference for the importer: it shares no code with `backend`, and its `state_dict` has the public code's
names because its modules hang where that code hangs them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoConfig, GPTNeoXConfig, PretrainedConfig

ATTENTION = {"gpt2": "attn", "gpt_neo": "attn.attention", "gpt_neox": "attention"}
OUT = {"gpt2": "c_proj", "gpt_neo": "out_proj", "gpt_neox": "dense"}
QKV = {"gpt2": "c_attn", "gpt_neox": "query_key_value"}


def config(kind: str, **changes: Any) -> PretrainedConfig:
    """A small model of one of the three kinds; odd sizes, so that no two of them are equal by accident."""
    if kind == "gpt2":
        return GPT2Config(
            **{"vocab_size": 37, "n_positions": 20, "n_embd": 24, "n_layer": 3, "n_head": 3, "n_inner": 40} | changes
        )
    if kind == "gpt_neo":
        sizes = {"vocab_size": 37, "max_position_embeddings": 20, "hidden_size": 24, "num_layers": 2, "num_heads": 3}
        return GPTNeoConfig(**sizes | {"attention_types": [[["global", "local"], 1]], "window_size": 5} | changes)
    sizes = {"vocab_size": 37, "max_position_embeddings": 20, "hidden_size": 24, "num_hidden_layers": 2}
    more = {"num_attention_heads": 3, "intermediate_size": 40, "rotary_pct": 0.5, "rotary_emb_base": 300}
    return GPTNeoXConfig(**sizes | more | changes)


class Codebook(nn.Module):
    """LayerNorm, k nearest codes, their mean."""

    def __init__(self, dim: int, codes: int, k: int, metric: str) -> None:
        super().__init__()
        self.codebook = nn.Embedding(codes, dim)
        self.ln = nn.LayerNorm(dim)
        nn.init.normal_(self.ln.weight, 1, 0.2)
        nn.init.normal_(self.ln.bias, 0, 0.2)
        self.k, self.metric = k, metric
        self.chosen = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        x, table = self.ln(x), self.codebook.weight
        order = (
            x @ (table / table.norm(dim=1, keepdim=True)).T
            if self.metric == "inner_product"
            else -torch.cdist(x, table)
        )
        self.chosen = order.topk(self.k).indices
        return self.codebook(self.chosen).sum(-2) / self.k


class Grouped(nn.Module):
    """Codebooks side by side."""

    def __init__(self, dim: int, groups: int, *rest: Any) -> None:
        super().__init__()
        self.codebook = nn.ModuleList(Codebook(dim // groups, *rest) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [one(part) for one, part in zip(self.codebook, x.chunk(len(self.codebook), -1), strict=True)], -1
        )


class Wrapped(nn.Module):
    """A module with a codebook behind it."""

    def __init__(self, module: nn.Module, codebook: nn.Module) -> None:
        super().__init__()
        self.module_layer = module
        self.codebook_layer = codebook

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        out = self.module_layer(*args, **kwargs)
        return (self.codebook_layer(out[0]), *out[1:]) if isinstance(out, tuple) else self.codebook_layer(out)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module_layer, name)


class Reference:
    """A base model with codebooks; `layer` -> place (the public code's name) -> codebook."""

    def __init__(self, base: PretrainedConfig, settings: dict[str, Any], seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.base, self.settings = base, settings
        self.model = AutoModelForCausalLM.from_config(base).eval()
        for parameter in self.model.parameters():
            nn.init.normal_(parameter, 0.0, 0.3)
        kind = base.model_type
        layers = self.model.gpt_neox.layers if kind == "gpt_neox" else self.model.transformer.h
        self.codebooks: dict[tuple[int, str], nn.Module] = {}
        self._sums: list[tuple[nn.Module, str, nn.Module]] = []
        for index in settings["layers_to_snap"]:
            for i, at in enumerate(settings["codebook_at"]):
                self.codebooks[index % len(layers), at] = self._put(layers, index, at, i, kind)
        for layer, attention, codebook in self._sums:  # what is added up is what comes out of all wrappers
            self._sum(layer, layer.get_submodule(attention), codebook)

    def _put(self, layers: nn.ModuleList, index: int, at: str, i: int, kind: str) -> nn.Module:
        layer, dim = layers[index], self.base.hidden_size
        holder, _, last = ATTENTION[kind].rpartition(".")
        above = getattr(layer, holder) if holder else layer
        if at == "transformer_block":
            layers[index] = Wrapped(layer, self._codebook(dim, i))
            return layers[index].codebook_layer
        if at == "mlp":
            layer.mlp = Wrapped(layer.mlp, self._codebook(dim, i))
            return layer.mlp.codebook_layer
        if at == "mlp_mid":
            inner = getattr(self.base, "n_inner", None) or getattr(self.base, "intermediate_size", None) or 4 * dim
            layer.mlp.act = Wrapped(layer.mlp.act, self._codebook(inner, i))
            return layer.mlp.act.codebook_layer
        if at == "attn":
            setattr(above, last, Wrapped(getattr(above, last), self._codebook(dim, i)))
            return getattr(above, last).codebook_layer
        attention = getattr(above, last)
        if at == "qkv":
            wrapped = Wrapped(getattr(attention, QKV[kind]), self._codebook(3 * dim, i, 3))
            setattr(attention, QKV[kind], wrapped)
            return wrapped.codebook_layer
        codebook = self._codebook(dim, i)
        if at == "attn_preproj":
            attention.codebook_layer = codebook
            getattr(attention, OUT[kind]).register_forward_pre_hook(lambda _, args: (codebook(args[0]),))
        else:
            layer.codebook_layer = codebook
            self._sums.append((layer, ATTENTION[kind], codebook))
        return codebook

    @staticmethod
    def _sum(layer: nn.Module, attention: nn.Module, codebook: nn.Module) -> None:
        """attn_plus_mlp: the sum of what both add is replaced."""
        seen: dict[str, Any] = {}
        layer.register_forward_pre_hook(
            lambda _, args, kwargs: seen.update(x=args[0] if args else kwargs["hidden_states"]), with_kwargs=True
        )
        attention.register_forward_hook(
            lambda _, args, out: seen.update(attention=out[0] if isinstance(out, tuple) else out)
        )
        layer.mlp.register_forward_hook(lambda _, args, out: seen.update(mlp=out))

        def replace(_: nn.Module, args: Any, out: Any) -> Any:
            stream = seen["x"] + codebook(seen["attention"] + seen["mlp"])
            return (stream, *out[1:]) if isinstance(out, tuple) else stream

        layer.register_forward_hook(replace)

    def _codebook(self, dim: int, i: int, times: int = 0) -> nn.Module:
        s = self.settings
        rest = (s["num_codes"][i], s["k_codebook"][i], s["similarity_metric"])
        if s["codebook_type"][i] == "group" or times:
            return Grouped(dim, s["num_codebooks"][i] * (times or 1), *rest)
        return Codebook(dim, *rest)

    @torch.no_grad()
    def run(self, ids: Tensor) -> tuple[Tensor, dict[tuple[int, str, int], Tensor]]:
        """Logits, and (layer, place, group) -> ids `[batch, position, k]`."""
        logits = self.model(ids, use_cache=False).logits
        codes = {}
        for (layer, at), found in self.codebooks.items():
            for group, one in enumerate(found.codebook if isinstance(found, Grouped) else [found]):
                codes[layer, at, group] = one.chosen
        return logits, codes

    def state(self, prefix: str = "model.") -> dict[str, Tensor]:
        """All tensors under the public code's names, buffers of old releases included."""
        state = {}
        for name, tensor in self.model.state_dict().items():
            name = name.replace("lm_head", "embed_out") if self.base.model_type == "gpt_neox" else name
            state[f"{prefix}{name}"] = tensor.detach().clone()
        if self.base.model_type != "gpt_neox":
            state[f"{prefix}transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
        return state

    def save(self, folder: Path, *, safetensors: bool = True, **changes: Any) -> tuple[Path, Path]:
        """Write `checkpoint` and `base` folders; `changes` replace entries of the configuration (None removes them)."""
        checkpoint, base = folder / "checkpoint", folder / "base"
        checkpoint.mkdir(parents=True)
        base.mkdir()
        (base / "config.json").write_text(json.dumps(self.base.to_dict()))
        settings = {"model_type": "codebook", **self.settings, **changes}
        (checkpoint / "config.json").write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))
        state = self.state()
        if safetensors:
            if self.base.tie_word_embeddings:
                state.pop("model.lm_head.weight", None)
            save_file(state, checkpoint / "model.safetensors")
        else:
            torch.save(state, checkpoint / "pytorch_model.bin")
        return checkpoint, base


def settings(
    *at: str, layers: tuple[int, ...] = (0, 1), metric: str = "inner_product", **lists: list[Any]
) -> dict[str, Any]:
    """A codebook configuration with a value for each place."""
    n = len(at)
    made = {
        "codebook_at": list(at),
        "codebook_type": ["vanilla"] * n,
        "num_codebooks": [1] * n,
        "num_codes": [19 + 4 * i for i in range(n)],
        "k_codebook": [1 + i % 3 for i in range(n)],
        "layers_to_snap": list(layers),
        "similarity_metric": metric,
    }
    return made | lists
