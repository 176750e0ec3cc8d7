"""From a published image tokenizer to a checkpoint of ours.

1. The format's reader gives the network's settings, weights and table in our terms.
2. The tokenizer is shown our own scenes, or the person's pictures.
3. The checkpoint's folder is written, at once or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from backend.catalog.cards import Card
from backend.data.images import own_images
from backend.data.scenes.scenes import Scenes
from backend.families.image_tokenizer.formats import diffusers, fvq, llamagen, taming, vqgan_lc
from backend.families.image_tokenizer.formats.image_weights import ImportedTokenizer
from backend.families.image_tokenizer.model import save_tokenizer
from backend.formats.format import Addition, ImportRequest
from backend.nn.image_tokenizer import ImageTokenizer, TokenizerConfig

Reader = Callable[[Path, Path | None], ImportedTokenizer]
READERS: dict[str, Reader] = {
    "llamagen": llamagen.read,
    "fvq": fvq.read,
    "vqgan-lc": vqgan_lc.read,
    "taming": taming.read,
    "diffusers": diffusers.read,
}
_SCENES, _PHOTOS = 64, 256  # pixels a side of what an image tokenizer is shown
_REPORTS = 20  # unreadable pictures that are named at most


def add_tokenizer(read: Reader, request: ImportRequest) -> Addition:
    """Read a published tokenizer and write it into the request's folder.

    Raises:
        CheckpointError: the checkpoint is incomplete, unsafe or contradicts itself.
        BadInput: there is no checkpoint, or no picture.
    """
    tokenizer = read(request.path, request.base)
    dataset, reports = _pictures(tokenizer, request.images, request.tags)
    warnings = (*tokenizer.warnings, *reports)
    model = tokenizer_of(tokenizer)
    training = {**request.origin, "warnings": list(warnings)}
    save_tokenizer(model, request.folder, Card(training=training))
    size, (codes, dim) = tokenizer.settings.downsampling, tokenizer.table.shape
    title = f"Image tokenizer with {codes} codes of {dim} values, one for {size} x {size} pixels"
    return Addition(dataset, title, tuple(model.sites), warnings, f"build {request.model}")


def tokenizer_of(tokenizer: ImportedTokenizer) -> ImageTokenizer:
    """Return a published tokenizer as a network, on the tensors that were read: nothing is copied."""
    config = TokenizerConfig("vqgan", tokenizer.settings.to_json(), (len(tokenizer.table),), tokenizer.normalized)
    with torch.device("meta"):
        model = ImageTokenizer(config)
    model.load_state_dict({**tokenizer.weights, "tables.0": tokenizer.table}, assign=True)
    return model.eval()


def _pictures(
    tokenizer: ImportedTokenizer, images: Path | None, tags: Mapping[str, Any]
) -> tuple[Mapping[str, Any], list[str]]:
    """Return the `[dataset]` of the catalog entry, and warnings."""
    cell = tokenizer.settings.downsampling  # a picture has one cell at least
    if images is None:
        size = max(_SCENES, cell)
        warning = (
            f"It will be shown our own scenes of {size} pixels, not what it was trained on. "
            "Give your pictures with --images."
        )
        return Scenes(size).settings, [warning]
    settings = own_images.SOURCE.settings({"path": str(images), "size": max(_PHOTOS, cell), **tags})
    notes = own_images.SOURCE.notes(settings) if own_images.SOURCE.notes else ()
    reports = own_images.OwnImages.from_settings(settings, images).reports
    return settings, [*map(str, notes), *[f"{report.path}: {report.what}" for report in reports][:_REPORTS]]
