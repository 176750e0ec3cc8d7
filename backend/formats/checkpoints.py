"""What every importer of a Hugging Face style folder needs: its configuration and its weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PretrainedConfig

from backend.errors import CheckpointError
from backend.formats.restricted import read_torch

SAFETENSORS, BIN = "model.safetensors", "pytorch_model.bin"
DIFFUSERS = tuple(f"diffusion_pytorch_model.{kind}" for kind in ("safetensors", "bin", "fp16.safetensors"))


def check_finite(name: str, tensor: torch.Tensor, source: Path) -> None:
    """Refuse weights that are not finite numbers.

    Raises:
        CheckpointError: a value is infinite or NaN.
    """
    if not tensor.isfinite().all():
        raise CheckpointError(f"{source}: {name!r} holds values that are not finite. Training broke, or the file did.")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: the file is missing, not JSON, or not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # endless digits are a ValueError, nesting a RecursionError
        raise CheckpointError(f"{path} cannot be read as JSON: {error}. Give a complete checkpoint folder.") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} does not hold a JSON object. Give a complete checkpoint folder.")
    return data


def read_config(path: Path) -> PretrainedConfig:
    """Read a Hugging Face configuration: a folder with `config.json`, or the file itself; names of older releases too.

    Raises:
        CheckpointError: it is missing, or transformers does not know such a model.
    """
    file = path / "config.json" if path.is_dir() else path
    data = read_json(file)
    kind = data.get("model_type")
    if kind == "codebook":
        raise CheckpointError(
            f"{file} is the configuration of the codebooks, not of the model below them. Give that one."
        )
    if not isinstance(kind, str):
        raise CheckpointError(f"{file} has no model_type, so it is not a Hugging Face configuration.")
    try:
        return AutoConfig.from_pretrained(str(file), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers and its checked data classes raise nearly anything
        raise CheckpointError(
            f"{file} (model_type {kind!r}) is not a configuration that transformers knows: {error}"
        ) from error


def read_weights(
    folder: Path, names: Sequence[str] = (SAFETENSORS, BIN)
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Read all tensors of a folder: the first of the files `names` that is there, whole or in the parts of an index.

    Returns:
        Name -> tensor, and warnings.

    Raises:
        CheckpointError: there is no such file, it is cut off or unsafe, or an entry is not a tensor.
    """
    for name in names:
        index = folder / f"{name}.index.json"
        if (folder / name).exists():
            return read_tensors(folder / name)
        if index.exists():
            weights: dict[str, torch.Tensor] = {}
            warnings: list[str] = []
            parts = read_json(index).get("weight_map")
            if not isinstance(parts, dict) or not parts or not all(isinstance(part, str) for part in parts.values()):
                raise CheckpointError(f"{index} has no weight_map from tensors to files. Copy the folder again.")
            for part in sorted(set(parts.values())):
                if Path(part).name != part:  # an index from elsewhere must not name files outside its folder
                    raise CheckpointError(f"{index} names the file {part!r}, which is not in its folder.")
                tensors, notes = read_tensors(folder / part)
                weights |= tensors
                warnings += notes
            return weights, tuple(warnings)
    raise CheckpointError(f"{folder} holds neither {' nor '.join(names)}. Give the folder of a saved model.")


def read_tensors(path: Path, keys: Sequence[str] = ("state_dict",)) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Read the table of tensors in one file: the file itself, or what it holds under the first of `keys` that it has.

    Returns:
        Name -> tensor, and warnings.

    Raises:
        CheckpointError: it is cut off or unsafe, there is no such table, or an entry of it is not a tensor.
    """
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, ()  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} cannot be read as safetensors ({error}). It was cut off: copy it again."
            ) from error
    file_content = read_torch(path)
    content = file_content.content
    if isinstance(content, dict):
        content = next((content[key] for key in keys if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not content:
        what = "an empty table" if isinstance(content, dict) else f"a {type(content).__name__}"
        raise CheckpointError(f"{path} holds {what} where a table of tensors is expected.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            what = getattr(value, "name", None) or type(value).__name__
            raise CheckpointError(f"{path}: the entry {str(name)[:80]!r} is a {what} and not a tensor. It is refused.")
        if value.layout is not torch.strided or value.is_meta:
            raise CheckpointError(f"{path}: the tensor {name[:80]!r} is sparse or has no values. Save it dense.")
    warnings = (
        [f"Left out objects of {', '.join(file_content.skipped)} in {path.name}; nothing of them was run."]
        if file_content.skipped
        else []
    )
    return dict(content), tuple(warnings)
