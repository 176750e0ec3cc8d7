"""From a published language model to a checkpoint of ours.

1. The format's reader gives configuration, codebooks and weights in our terms.
2. A model is made from them; weights that are missing, unknown or of another shape are errors.
3. What it is shown is recognised (`dataset`).
4. The checkpoint's folder is written, at once or not at all.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backend.catalog.cards import Card
from backend.data.datasets import source_of
from backend.errors import CheckpointError
from backend.families.transformer.checkpoint import build_model, save_checkpoint, tokenizer_in
from backend.families.transformer.formats.dataset import dataset_of
from backend.families.transformer.formats.imported import Imported
from backend.formats.checkpoints import check_finite
from backend.formats.format import Addition, ImportRequest
from backend.formats.weights import load_weights

Reader = Callable[[Path, Path | None], Imported]


def add_transformer(read: Reader, request: ImportRequest) -> Addition:
    """Read a published language model and write it into the request's folder.

    Raises:
        CheckpointError: the checkpoint is incomplete, unsafe or contradicts itself.
        BadInput: the text cannot be read.
    """
    source = read(request.path, request.base)
    folders = [request.path, *([_folder_of(request.base)] if request.base is not None else [])]
    dataset, notes = dataset_of(source.config, folders, request.text, request.tags)
    warnings = (*source.warnings, *notes)
    try:
        model = build_model(source.config, source.placements)
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"The codebooks of {request.path} do not fit its model: {error}") from error
    for name, tensor in source.weights.items():
        check_finite(name, tensor, request.path)
    load_weights(model, source.weights, request.path)
    tokenizer: dict[str, bytes] = next(filter(None, map(tokenizer_in, folders)), {})
    training = {**request.origin, "warnings": list(warnings)}
    save_checkpoint(model, request.folder, Card(training=training), tokenizer)
    sites = tuple(info.site for info in model.infos())
    title = f"{source.config.model_type} with{f' {len(sites)}' if sites else 'out'} codebooks"
    following = f"build {request.model}" if sites else _training(request, dataset)
    return Addition(dataset, title, sites, warnings, following)


def _folder_of(base: Path) -> Path:
    return base if base.is_dir() else base.parent


def _training(request: ImportRequest, dataset: Mapping[str, Any]) -> str:
    """Return the command that puts codebooks into a model that has none."""
    name = f"--name {request.model}-codes"
    if "states" in source_of(dataset).capabilities:
        return f"train {dataset['name']} --from {request.model} --places mlp {name}"
    text = shlex.quote(str(request.text or "YOUR-TEXT"))
    return f"train text --from {request.model} --text {text} --places mlp --k 8 {name}"
