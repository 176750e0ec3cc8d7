"""Adds published checkpoints to a data directory: read, checked, written as safetensors, put in the catalog.

1. The format's reader gives configuration, codebooks and weights in our terms (`backend.formats`).
2. A model is made from them; weights that are missing, unknown or of another shape are errors.
3. The data set: of text models recognised (the paper's finite-state machine, else token ids); image tokenizers are shown
   our own scenes, or the person's pictures.
4. Checkpoint folder and catalog entry are written, each at once or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PretrainedConfig

from backend import catalog
from backend.catalog.cards import Card
from backend.data.datasets import open_corpus
from backend.data.images.own_images import OwnImages
from backend.data.machines import DIGITS, Machine
from backend.data.texts.bpe import TOKENIZER, TextTokenizer, load_tokenizer
from backend.data.texts.settings import LENGTH
from backend.errors import BadInput, CatalogError, CheckpointError
from backend.families.image_tokenizer.formats import diffusers, fvq, llamagen, taming, vqgan_lc
from backend.families.image_tokenizer.formats.image_weights import ImportedTokenizer
from backend.families.image_tokenizer.model import save_tokenizer
from backend.families.transformer.checkpoint import build_model, save_checkpoint, tokenizer_in
from backend.families.transformer.formats import codebook_features, huggingface
from backend.families.transformer.formats.imported import Imported
from backend.formats import hub
from backend.formats.checkpoints import check_finite
from backend.formats.weights import load_weights
from backend.nn.image_tokenizer import ImageTokenizer, TokenizerConfig
from backend.types import ModelSpec

FORMATS: dict[str, Callable[[Path, Path | None], Imported | ImportedTokenizer]] = {
    "codebook-features": codebook_features.read,
    "huggingface": huggingface.read,
    "llamagen": llamagen.read,
    "fvq": fvq.read,
    "vqgan-lc": vqgan_lc.read,
    "taming": taming.read,
    "diffusers": diffusers.read,
}
_FOLDERS = ("codebook-features", "huggingface", "diffusers")  # formats of folders; the others are one file
MACHINE_SEED = 42
_LONGEST_ITEM = 128
_SCENES, _PHOTOS = 64, 256  # pixels a side of what an image tokenizer is shown
_GENERIC = ("checkpoint", "model", "checkpoint_safetensors", "vqvae", "movq", "vae", "last", "checkpoints")


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
    images: Path | None = None,
    text: str | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Add a checkpoint to a data directory.

    Args:
        format: key of `FORMATS`.
        path: the checkpoint's folder or file, or its address on the hub (`backend.formats.hub`).
        data_dir: where it goes.
        base: configuration of the model below the codebooks, or the one that an image tokenizer was trained with.
        name: of the new model; made from the path by default.
        images: folder, file or Parquet file of the pictures that an image tokenizer is shown.
        text: file, folder or `hf:` name of the text that a language model is shown.
        overwrite: replace a model of that name.

    Raises:
        BadInput: unknown format, no such path, no pictures, or the name is taken.
        CheckpointError: the checkpoint is incomplete, unsafe or contradicts itself, or cannot be fetched.
    """
    if format not in FORMATS:
        raise BadInput(f"{format[:40]!r} is no format that can be imported. Known: {', '.join(FORMATS)}.")
    given = path
    name = catalog.check_name(name if name is not None else _name_of(path))
    if not overwrite and name in catalog.models(data_dir):
        raise BadInput(f"There is a model {name!r} already. Give another with --name, or --overwrite to replace it.")
    path, base = _local(path, format in _FOLDERS), None if base is None else _local(base, False)
    for what, place in (("checkpoint", path), ("base", base), ("images", images)):
        if place is not None and not place.exists():
            raise BadInput(f"There is no {what} {place}. Check the path.")
    if format in _FOLDERS and not path.is_dir():
        raise BadInput(f"{path} is no folder. Give the folder that holds the checkpoint's files.")
    read = FORMATS[format](path, base)
    target = catalog.inside(data_dir, Path("checkpoints") / name)
    origin = {"imported": format, "from": given.name}
    if isinstance(read, ImportedTokenizer):
        if text is not None:
            raise BadInput(f"Models of the format {format} see pictures: leave --text out.")
        dataset, said = _pictures(read, images)
        warnings = (*read.warnings, *said)
        sites, title = _save_tokenizer(read, target, {**origin, "warnings": list(warnings)})
        spec = ModelSpec(name, "image_tokenizer", "image", title, dataset, f"checkpoints/{name}")
    else:
        if images is not None:
            raise BadInput(f"Models of the format {format} read text: leave --images out.")
        folders = [path, *([base if base.is_dir() else base.parent] if base is not None else [])]
        dataset, said = _dataset(read.config, folders, text)
        warnings = (*read.warnings, *said)
        sites, title = _save_transformer(read, target, {**origin, "warnings": list(warnings)}, path, folders)
        spec = ModelSpec(name, "transformer", "text", title, dataset, f"checkpoints/{name}")
    catalog.write_spec(replace(spec, title=f"{title}, imported ({format})"), data_dir)
    return ImportReport(name, sites, warnings)


def _local(path: Path, folder: bool) -> Path:
    return hub.fetch(path, folder=folder) if hub.is_address(path) else path


def _save_transformer(
    read: Imported, target: Path, training: Mapping[str, Any], source: Path, folders: list[Path]
) -> tuple[tuple[str, ...], str]:
    """Write the checkpoint folder; returns the codebooks' sites and a title."""
    try:
        model = build_model(read.config, read.placements)
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"The codebooks of {source} do not fit its model: {error}") from error
    for name, tensor in read.weights.items():
        check_finite(name, tensor, source)
    load_weights(model, read.weights, source)
    tokenizer: dict[str, bytes] = next(filter(None, map(tokenizer_in, folders)), {})
    save_checkpoint(model, target, Card(training=training), tokenizer)
    sites = tuple(info.site for info in model.infos())
    return sites, f"{read.config.model_type} with{f' {len(sites)}' if sites else 'out'} codebooks"


def _save_tokenizer(read: ImportedTokenizer, target: Path, training: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Write the checkpoint folder; returns the codebooks' sites and a title."""
    model = tokenizer_of(read)
    save_tokenizer(model, target, Card(training=training))
    size, (codes, dim) = read.settings.downsampling, read.table.shape
    return tuple(model.sites), f"Image tokenizer with {codes} codes of {dim} values, one for {size} x {size} pixels"


def tokenizer_of(read: ImportedTokenizer) -> ImageTokenizer:
    """A published tokenizer as a network, on the tensors that were read: nothing is copied."""
    config = TokenizerConfig("vqgan", read.settings.to_json(), (len(read.table),), read.normalized)
    with torch.device("meta"):
        model = ImageTokenizer(config)
    model.load_state_dict({**read.weights, "tables.0": read.table}, assign=True)
    return model.eval()


def _pictures(read: ImportedTokenizer, images: Path | None) -> tuple[Mapping[str, Any], list[str]]:
    """The `[dataset]` of an image tokenizer's catalog entry, and warnings."""
    cell = read.settings.downsampling
    if images is None:
        return {"name": "scenes", "size": max(_SCENES, cell)}, [
            f"It will be shown our own scenes of {max(_SCENES, cell)} pixels, not what it was trained on. "
            "Give your pictures with --images."
        ]
    settings = {"name": "folder", "path": str(images.resolve()), "size": max(_PHOTOS, cell)}
    said = [f"{report.path}: {report.what}" for report in OwnImages.from_settings(settings, images).reports]
    return settings, said[:20]


def _name_of(path: Path) -> str:
    """A model's name made from the path's; generic folder names are told apart by the one above."""
    if hub.is_address(path):
        return hub.name_of(path)
    parts = (path.resolve().with_suffix("") if path.is_file() else path.resolve()).parts[1:]
    if not parts:
        raise CatalogError("Give the model a name with --name.")
    own = f"{parts[-2]}-{parts[-1]}" if parts[-1] in _GENERIC and parts[1:] else parts[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:100] or "imported"


def _dataset(config: PretrainedConfig, folders: list[Path], text: str | None) -> tuple[Mapping[str, Any], list[str]]:
    """The `[dataset]` of the catalog entry, and warnings."""
    if int(getattr(config, "max_position_embeddings", _LONGEST_ITEM)) < 2:
        raise CheckpointError("The model's configuration has room for fewer than two tokens. Check its config.json.")
    tokenizer = next((file for folder in folders if (file := folder / TOKENIZER).is_file()), None)
    if text is not None and tokenizer is not None:
        return _text(config, tokenizer, text)
    if text is not None:
        raise BadInput(
            f"There is no {TOKENIZER} beside the model, so it cannot read a text. Save its fast tokenizer into the folder "
            "(tokenizer.save_pretrained of transformers), or leave --text out to see it on random tokens."
        )
    vocabulary = int(config.get_text_config().vocab_size)
    longest = int(getattr(config, "max_position_embeddings", _LONGEST_ITEM))
    tokens = {"name": "tokens", "vocabulary": vocabulary, "length": min(longest, _LONGEST_ITEM)}
    table = next((file for folder in folders if (file := folder / "fsm.npy").is_file()), None)
    words = next((file for folder in folders if (file := folder / "vocab.json").is_file()), None)
    base = vocabulary - 1
    if not 2 <= base <= len(DIGITS) or (table is None and not (words is not None and _only_digits(words, base))):
        if tokenizer is None:
            return tokens, []
        try:
            return _text(config, tokenizer, None)
        except CheckpointError as error:  # the model itself can be seen all the same
            return tokens, [f"{error} Until then items are random token ids."]
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


def _text(config: PretrainedConfig, tokenizer: Path, text: str | None) -> tuple[Mapping[str, Any], list[str]]:
    """The `[dataset]` of a model with a tokenizer: the person's own text, else our stories."""
    known, vocabulary = TextTokenizer(load_tokenizer(tokenizer)).vocabulary, int(config.get_text_config().vocab_size)
    if not known:
        raise CheckpointError(f"{tokenizer} has no tokens. Give the folder that holds the model's own.")
    if known > vocabulary:
        raise CheckpointError(
            f"{tokenizer} has {known} tokens and the model knows {vocabulary}: they do not belong together. "
            "Give the folder that holds both."
        )
    length = min(int(getattr(config, "max_position_embeddings", LENGTH)), LENGTH)
    if text is None:
        return {"name": "stories", "length": length}, [
            "It will be shown our own stories, not what it was trained on. Give your text with --text."
        ]
    path = text if text.startswith("hf:") else str(Path(text).expanduser().resolve())
    settings = {"name": "text", "path": path, "length": length}
    open_corpus(settings).count(0)  # refuses what cannot be read
    return settings, []


def _transitions(file: Path) -> np.ndarray:
    """bool `[N, N]` from a file of transition probabilities; objects in it are refused, not run."""
    try:
        table = np.load(file, mmap_mode="r", allow_pickle=False)  # mapped: what claims more than it holds is refused
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
