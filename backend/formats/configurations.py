"""What the configuration file of a published image tokenizer claims: YAML or JSON, never anything that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from backend.errors import BadInput, CheckpointError

_SUFFIXES = (".yaml", ".yml", ".json")
_LARGEST = 1 << 20  # bytes


def read_claims(path: Path, base: Path | None, expect: str = "ddconfig") -> dict[str, Any]:
    """Read the settings of a tokenizer into one flat table.

    Args:
        path: checkpoint or its folder: looked into where `base` is not given.
        base: the file; or a folder with one.
        expect: key by which a file in the checkpoint's folder is known for a configuration.

    Returns:
        All keys of the nested tables `model`, `params` and `ddconfig` and those above; empty where there is no file.

    Raises:
        BadInput: `base` is a folder with no or several configurations.
        CheckpointError: the file is not YAML or JSON, or does not hold a table.
    """
    if base is not None:
        files = [base] if base.is_file() else _files(base)
        if len(files) != 1:
            raise BadInput(f"{base} holds {len(files)} configurations where one is expected. Give the file itself.")
        return _flatten(_read(files[0]))
    claims = [flat for file in _files(path) if expect in (flat := _flatten(_read(file)))] if path.is_dir() else []
    return claims[0] if len(claims) == 1 else {}  # of two files neither can be trusted


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES)


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise CheckpointError(f"{file} has more than {_LARGEST:,} bytes, so it is not a configuration.")
        text = file.read_text(encoding="utf-8")
        data = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read as YAML or JSON: {str(error)[:300]}") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{file} holds a {type(data).__name__} where a table of settings is expected.")
    return data


def _flatten(data: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    flat = dict(data)
    for key in ("model", "params", "first_stage_config", "ddconfig"):
        if isinstance(inner := data.get(key), dict) and depth < 6:  # YAML can hold a table that holds itself
            flat |= _flatten(inner, depth + 1)
    return flat
