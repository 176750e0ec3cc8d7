"""A codebook transformer on disk: one folder, nothing in it that could run.

config.json        the Hugging Face configuration of the model without codebooks
codebooks.json     {"placements": [...]}, see `backend.nn.insertion.placement.Placement`
model.safetensors  all weights: `model.*` under the library's own names, `codebooks.*`
tokenizer.json     where the data set needs one
card.json          {"metrics": {...}, "training": {...}}: what was measured and how it was made
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from backend.data.texts.bpe import TOKENIZER
from backend.errors import CheckpointError
from backend.files import replacing_folder, write_atomically
from backend.formats.checkpoints import read_config, read_json, read_tensors
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Placement, parse_placements

WEIGHTS = "model.safetensors"


def build_model(config: PretrainedConfig, placements: Sequence[Placement]) -> CodebookTransformer:
    """A codebook transformer with random weights, in float32 and evaluation mode."""
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=False, dtype=torch.float32)
    assert isinstance(model, PreTrainedModel)
    return CodebookTransformer(model, placements).eval()


def load_checkpoint(folder: Path) -> CodebookTransformer:
    """Load a folder written by `save_checkpoint`.

    Raises:
        CheckpointError: something is missing, unreadable, or does not fit the configuration.
    """
    data = read_json(folder / "codebooks.json")
    try:
        placements = parse_placements(data["placements"])
        model = build_model(read_config(folder), placements)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'codebooks.json'} does not fit the model: {error}") from error
    weights, _ = read_tensors(folder / WEIGHTS)
    load_weights(model, weights, folder)
    return model


def load_weights(model: torch.nn.Module, weights: Mapping[str, torch.Tensor], source: Path) -> None:
    """Load a full set of weights; matrices that share memory (tied heads) may be given once.

    Raises:
        CheckpointError: names are missing or unknown, or shapes differ; the message lists them.
    """
    state = model.state_dict()
    groups: dict[tuple[int, tuple[int, ...]], list[str]] = {}
    for name, tensor in state.items():
        groups.setdefault((tensor.data_ptr(), tuple(tensor.shape)), []).append(name)
    missing = [names[0] for names in groups.values() if not any(name in weights for name in names)]
    unknown = sorted(weights.keys() - state.keys())
    wrong = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(state[name].shape)}"
        for name, tensor in weights.items()
        if name in state and tensor.shape != state[name].shape
    ]
    if missing or unknown or wrong:
        raise CheckpointError(
            f"{source} does not fit its configuration. Missing: {_some(missing)}. Unknown: {_some(unknown)}. "
            f"Wrong shape: {_some(wrong)}."
        )
    model.load_state_dict(dict(weights), strict=False)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"


def save_checkpoint(
    model: CodebookTransformer, folder: Path, card: Mapping[str, Any], extra: Mapping[str, bytes] | None = None
) -> None:
    """Write a checkpoint folder; an older one of that name is replaced only when the new one is complete.

    Args:
        model: what to save.
        folder: where to.
        card: what was measured and how it was made.
        extra: further files by name, such as a tokenizer.
    """
    seen: set[int] = set()
    weights = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            weights[name] = tensor.detach().cpu().contiguous()
    placements = [dataclasses.asdict(p) for p in model.placements]
    with replacing_folder(folder) as new:
        save_file(weights, new / WEIGHTS, metadata={"format": "pt"})
        model.model.config.save_pretrained(new)
        (new / "codebooks.json").write_text(json.dumps({"placements": placements}, indent=1) + "\n", encoding="utf-8")
        write_card(new, card)
        for name, content in (extra or {}).items():
            (new / name).write_bytes(content)


def tokenizer_in(folder: Path) -> dict[str, bytes]:
    """A folder's tokenizer as a further file of a checkpoint; nothing where it has none."""
    file = folder / TOKENIZER
    return {TOKENIZER: file.read_bytes()} if file.is_file() else {}


def read_card(folder: Path) -> dict[str, Any]:
    """The model card; empty where there is none."""
    path = folder / "card.json"
    return read_json(path) if path.exists() else {}


def trained_as(folder: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """`training` of the card in a checkpoint's folder, if that says all of `about`; else None."""
    known = read_card(folder).get("training")
    if not isinstance(known, dict) or {key: known[key] for key in about.keys() & known.keys()} != about:
        return None
    return known


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Replace the model card at once."""
    write_atomically(folder / "card.json", json.dumps(card, indent=1) + "\n")
