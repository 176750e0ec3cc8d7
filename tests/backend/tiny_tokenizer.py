"""A small image tokenizer with random weights whose codes lie where its latents do."""

from pathlib import Path

import torch

from backend.data.datasets import open_images
from backend.families.image_tokenizer.model import ImageTokenizerFamily
from backend.nn.image_net import NetSettings
from backend.nn.image_tokenizer import ImageTokenizer, TokenizerConfig, rows_of_cells
from backend.types import ModelSpec

DATASET = {"name": "scenes", "size": 32}


def tiny_tokenizer(codes: tuple[int, ...] = (50,), *, normalized: bool = False, seed: int = 0) -> ImageTokenizer:
    """Codes are latents of random pictures (the first level) or small gaussian ones."""
    torch.manual_seed(seed)
    settings = NetSettings(code_dim=6, width=8)
    model = ImageTokenizer(TokenizerConfig("small", settings.to_json(), codes, normalized)).eval()
    with torch.no_grad():
        rows = rows_of_cells(model.encode(torch.rand(200, 3, 32, 32) * 2 - 1))
        for level, table in enumerate(model.tables):
            picks = torch.randperm(len(rows))[: len(table)]
            table.copy_(rows[picks] if level == 0 else torch.randn_like(table) * rows.std() / 4)
    return model.requires_grad_(False)


def tiny_family(codes: tuple[int, ...] = (50,), *, normalized: bool = False) -> ImageTokenizerFamily:
    """Over scenes of 32 pixels: 8 x 8 cells."""
    spec = ModelSpec("tiny", "image_tokenizer", "image", "A tiny tokenizer", DATASET, "checkpoints/tiny")
    return ImageTokenizerFamily(spec, tiny_tokenizer(codes, normalized=normalized), open_images(DATASET, Path()))
