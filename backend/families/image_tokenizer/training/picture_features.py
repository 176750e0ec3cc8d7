"""Frozen features for tables in the style of VQGAN-LC, without a pretrained network.

A small denoising autoencoder of its own, with its own seed, learns to clean noisy pictures; the latents of random cells
of random pictures are brought together by k-means, as published, and its centres are the features. They are nearer to a
tokenizer's latents than CLIP's would be, and are told apart from them in every title ("VQGAN-LC style"). A person's own
features come from a file.

A random selection of latents is used too unevenly: T tokens reached less than T / (K + T) of the codes, as if their shares
were spread exponentially (of 102,400 codes 83.1 % at T = 5 K, 94.7 % at 32 K). With two rounds of k-means they reached 85.5 %
and 96.8 %.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from backend.errors import BadInput
from backend.families.image_tokenizer.training.pools import Pool
from backend.families.image_tokenizer.training.recipe import FEATURE_WIDTH
from backend.nn.image_net import Decoder, Encoder, NetSettings
from backend.nn.image_tokenizer import rows_of_cells
from backend.nn.nearest import nearly_nearest
from backend.types import Progress

NOISE = 0.3  # standard deviation, of pixels in [-1, 1]
STEPS = 600
CELLS, ROUNDS = 4, 2  # of k-means: cells a feature, rounds over them
_BATCH, _PIECE = 32, 8192  # pictures, cells at a time


def feature_network(downsampling: int) -> Encoder:
    """Return the encoder, untrained."""
    return Encoder(NetSettings(code_dim=FEATURE_WIDTH, width=32, downsampling=downsampling))


def train_features(
    pool: Pool, downsampling: int, seed: int, steps: int = STEPS, progress: Progress | None = None
) -> Encoder:
    """Train the denoising autoencoder; returns its encoder."""
    torch.manual_seed(seed)
    encoder = feature_network(downsampling)
    decoder = Decoder(NetSettings(code_dim=FEATURE_WIDTH, width=32, downsampling=downsampling))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    shown = "features"
    for step in range(steps):
        images = pool.batch(_BATCH, generator)
        noisy = images + NOISE * torch.randn(images.shape, generator=generator)
        loss = (decoder(encoder(noisy)) - images).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*encoder.parameters(), *decoder.parameters()], 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            shown = f"features, loss {float(loss.detach()):.4f}"
        if progress:
            progress(shown, step + 1, steps)
    return encoder.requires_grad_(False).eval()


@torch.no_grad()
def select_features(encoder: Encoder, pool: Pool, count: int, seed: int, progress: Progress | None = None) -> Tensor:
    """Return features of cells of pictures, float32 `[count, FEATURE_WIDTH]`: random ones, moved by k-means (Lloyd).

    Args:
        encoder: what makes features of pictures.
        pool: the pictures.
        count: how many features.
        seed: of the choice.
        progress: called with (what, done, total).
    """
    generator = torch.Generator().manual_seed(seed + 1)
    parts: list[Tensor] = []
    pieces = -(-CELLS * count // _PIECE)
    total = (1 + ROUNDS) * pieces
    while (gathered := sum(map(len, parts))) < CELLS * count:
        if progress:
            progress("k-means on features, gathering cells", gathered // _PIECE, total)
        rows = rows_of_cells(encoder(pool.batch(_BATCH, generator)))
        parts.append(rows[torch.randperm(len(rows), generator=generator)[: max(8, len(rows) // 4)]])
    cells = torch.cat(parts)[: CELLS * count]
    centres = cells[torch.randperm(len(cells), generator=generator)[:count]].clone()
    for number in range(ROUNDS):
        chosen = []
        for done, piece in enumerate(cells.split(_PIECE), (1 + number) * pieces):
            chosen.append(nearly_nearest(piece, centres))
            if progress:
                progress(f"k-means on features, round {number + 1} of {ROUNDS}", done + 1, total)
        nearest = torch.cat(chosen)
        sums = torch.zeros_like(centres).index_add_(0, nearest, cells)
        counts = torch.bincount(nearest, minlength=count)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return centres


def read_features(path: Path, count: int, seed: int) -> Tensor:
    """Return a random selection of the rows of a person's own features (`.npy`, `[at least count, any]`).

    Raises:
        BadInput: the file cannot be read, has another shape, or too few rows.
    """
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: what claims more than it holds is refused
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} cannot be read as an array of features: {error}. Give a .npy file.") from error
    if not isinstance(rows, np.ndarray):
        raise BadInput(f"{path} holds several arrays. Give a .npy file with one.")
    if rows.ndim != 2 or rows.dtype.kind != "f" or len(rows) < count or not np.isfinite(rows).all():
        raise BadInput(
            f"{path} holds {rows.dtype} {rows.shape}; at least {count} rows of finite floating-point features are needed."
        )
    picks = np.random.default_rng(seed).permutation(len(rows))[:count]
    return torch.from_numpy(rows[np.sort(picks)].astype(np.float32))
