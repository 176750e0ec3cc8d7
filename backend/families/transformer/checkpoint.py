"""A codebook transformer on disk: one folder, nothing in it that could run.

config.json        the Hugging Face configuration of the model without codebooks
codebooks.json     {"placements": [...]}, see `backend.nn.insertion.placement.Placement`
model.safetensors  all weights: `model.*` under the library's own names, `codebooks.*`
tokenizer.json     where the data set needs one
card.json          what was measured and how it was made, see `backend.catalog.cards`
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from backend.catalog.cards import Card, write_card
from backend.data.texts.bpe import TOKENIZER
from backend.errors import CheckpointError
from backend.files import replacing_folder
from backend.formats.checkpoints import read_config, read_json, read_tensors
from backend.formats.weights import WEIGHTS, load_weights
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Placement, parse_placements


def build_model(config: PretrainedConfig, placements: Sequence[Placement]) -> CodebookTransformer:
    """Make a codebook transformer with random weights, in float32 and evaluation mode."""
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


def save_checkpoint(
    model: CodebookTransformer, folder: Path, card: Card, extra: Mapping[str, bytes] | None = None
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
    """Return a folder's tokenizer as a further file of a checkpoint; nothing where it has none."""
    file = folder / TOKENIZER
    return {TOKENIZER: file.read_bytes()} if file.is_file() else {}
