"""Adds published checkpoints to a data directory: read, checked, written as safetensors, put in the catalog.

1. The format's reader gives configuration, codebooks and weights in our terms (`backend.formats`).
2. A model is made from them; weights that are missing, unknown or of another shape are errors.
3. The data set is recognised: the paper's finite-state machine, else token ids.
4. Checkpoint folder and catalog entry are written, each at once or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PretrainedConfig

from backend import catalog
from backend.data.fsm import DIGITS, Machine
from backend.errors import BadInput, CatalogError, CheckpointError
from backend.families.checkpoint import build_model, load_weights, save_checkpoint
from backend.formats import codebook_features, huggingface
from backend.formats.checkpoints import Imported
from backend.types import ModelSpec

FORMATS: dict[str, Callable[[Path, Path | None], Imported]] = {
    "codebook-features": codebook_features.read,
    "huggingface": huggingface.read,
}
MACHINE_SEED = 42
_LONGEST_ITEM = 128


@dataclass(frozen=True)
class ImportReport:
    """What was imported: the model's name, its codebooks' sites, and what a person should know."""

    model: str
    codebooks: tuple[str, ...]
    warnings: tuple[str, ...]


def import_checkpoint(
    format: str,
    path: Path,
    data_dir: Path,
    *,
    base: Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Add a checkpoint to a data directory.

    Args:
        format: key of `FORMATS`.
        path: the checkpoint's folder.
        data_dir: where it goes.
        base: folder or `config.json` of the model that the codebooks were put into.
        name: of the new model; made from the folder's name by default.
        overwrite: replace a model of that name.

    Raises:
        BadInput: unknown format, no such folder, or the name is taken.
        CheckpointError: the checkpoint is incomplete, unsafe or contradicts itself.
    """
    if format not in FORMATS:
        raise BadInput(f"{format[:40]!r} is no format that can be imported. Known: {', '.join(FORMATS)}.")
    for what, given in (("checkpoint folder", path), ("base", base)):
        if given is not None and not given.exists():
            raise BadInput(f"There is no {what} {given}. Check the path.")
    if not path.is_dir():
        raise BadInput(f"{path} is no folder. Give the folder that holds the checkpoint's files.")
    name = catalog.check_name(name if name is not None else _name_of(path))
    if not overwrite and name in catalog.models(data_dir):
        raise BadInput(f"There is a model {name!r} already. Give another with --name, or --overwrite to replace it.")
    read = FORMATS[format](path, base)
    try:
        model = build_model(read.config, read.placements)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"The codebooks of {path} do not fit its model: {error}") from error
    load_weights(model, read.weights, path)
    folders = [path, *([base if base.is_dir() else base.parent] if base is not None else [])]
    dataset, said = _dataset(read.config, folders)
    warnings = (*read.warnings, *said)
    tokenizer = next((file for folder in folders if (file := folder / "tokenizer.json").is_file()), None)
    save_checkpoint(
        model,
        catalog.inside(data_dir, Path("checkpoints") / name),
        {"metrics": {}, "training": {"imported": format, "from": path.name, "warnings": list(warnings)}},
        {"tokenizer.json": tokenizer.read_bytes()} if tokenizer is not None else None,
    )
    sites = tuple(info.site for info in model.infos())
    title = (
        f"{read.config.model_type} with {len(sites)} codebooks"
        if sites
        else f"{read.config.model_type} without codebooks"
    )
    spec = ModelSpec(name, "transformer", "text", f"{title}, imported ({format})", dataset, f"checkpoints/{name}")
    catalog.write_spec(spec, data_dir)
    return ImportReport(name, sites, warnings)


def _name_of(path: Path) -> str:
    """A model's name made from the folder's; generic folder names are told apart by the one above."""
    parts = path.resolve().parts[1:]
    if not parts:
        raise CatalogError("Give the model a name with --name.")
    own = (
        f"{parts[-2]}-{parts[-1]}"
        if parts[-1] in ("checkpoint", "model", "checkpoint_safetensors") and parts[1:]
        else parts[-1]
    )
    return re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:100] or "imported"


def _dataset(config: PretrainedConfig, folders: list[Path]) -> tuple[Mapping[str, Any], list[str]]:
    """The `[dataset]` of the catalog entry, and warnings."""
    vocabulary = int(config.get_text_config().vocab_size)
    longest = int(getattr(config, "max_position_embeddings", _LONGEST_ITEM))
    tokens = {"name": "tokens", "vocabulary": vocabulary, "length": min(longest, _LONGEST_ITEM)}
    table = next((file for folder in folders if (file := folder / "fsm.npy").is_file()), None)
    words = next((file for folder in folders if (file := folder / "vocab.json").is_file()), None)
    base = vocabulary - 1
    if not 2 <= base <= len(DIGITS) or (table is None and not (words is not None and _only_digits(words, base))):
        return tokens, []
    length = min(longest, _LONGEST_ITEM)
    try:
        if table is None:
            return Machine(base=base, seed=MACHINE_SEED, length=length).settings, [
                "The vocabulary is that of a finite-state machine and there is no fsm.npy: the paper's machine is "
                f"assumed (100 states, 10 edges, seed {MACHINE_SEED})."
            ]
        transitions = _transitions(table)
        machine = Machine(len(transitions), int(transitions[0].sum()), base, MACHINE_SEED, length)
        if np.array_equal(machine.transitions, transitions):
            return machine.settings, []
    except CatalogError as error:
        return tokens, [
            f"The finite-state machine of this checkpoint cannot be made ({error}); items are random token ids."
        ]
    return tokens, [
        f"{table.name} is not the machine of {machine.states} states, {machine.edges} edges and seed {MACHINE_SEED}; "
        "items are random token ids and states are not known."
    ]


def _transitions(file: Path) -> np.ndarray:
    """bool `[N, N]` from a file of transition probabilities; objects in it are refused, not run."""
    try:
        table = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{file} is no plain numpy array ({error}). Delete it or get it again.") from error
    if (
        not isinstance(table, np.ndarray)
        or table.ndim != 2
        or table.shape[0] != table.shape[1]
        or not 2 <= len(table) <= 10_000
    ):
        raise CheckpointError(
            f"{file} holds {getattr(table, 'shape', 'something else')}, not a square table of transitions."
        )
    return table > 0


def _only_digits(file: Path, base: int) -> bool:
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(words, dict) and all(words.get(digit) == i for i, digit in enumerate(DIGITS[:base]))
