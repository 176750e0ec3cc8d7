"""Training in the order that works at small scale: a plain model first, codebooks then.

1. Pretrain the model without codebooks, or start from one that is there.
2. Put codebooks in, with tables from k-means on the base's own activations, layer after layer.
3. Fine-tune for a while, as the recipe says: everything, with the losses of the codebooks, or what the exact gradient
   reaches (`Recipe.straight_through`). The goal is the base's own next-token distribution: sampled next tokens are so noisy a
   target that they spoil the codes first.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PretrainedConfig

from backend.families.transformer.checkpoint import build_model, load_checkpoint
from backend.families.transformer.training import work
from backend.families.transformer.training.batches import Batch
from backend.families.transformer.training.codebooks import train
from backend.families.transformer.training.first_codes import initialize
from backend.families.transformer.training.recipe import Recipe
from backend.nn.insertion.model import CodebookTransformer
from backend.nn.insertion.placement import Placement
from backend.train.runs import Run


def train_base(config: PretrainedConfig, batch: Batch, recipe: Recipe, run: Run) -> CodebookTransformer:
    """Train a model without codebooks from scratch."""
    torch.manual_seed(run.seed)
    model = build_model(config, ())
    train(model, batch, recipe, run.seed, run)
    return model


def train_codebooks(
    base: Path, batch: Batch, placements: tuple[Placement, ...], recipe: Recipe, how: str, run: Run
) -> CodebookTransformer:
    """Put codebooks into a trained base (a checkpoint folder) and fine-tune everything.

    Args:
        base: the folder.
        batch: what to train on.
        placements: the codebooks.
        recipe: how to fine-tune.
        how: where codes start: `kmeans`, `data` or `random`.
        run: seed, device, where the state is kept.
    """
    torch.manual_seed(run.seed)
    plain = load_checkpoint(base).model
    model = CodebookTransformer(plain, placements)
    if run.saved is None:
        model.to(run.torch_device)
        initialize(model, batch, how, seed=run.seed, progress=run.progress_of(work.CODES))
    teacher = load_checkpoint(base).to(model.model.device) if recipe.distill else None
    train(model, batch, recipe, run.seed + 1, run, teacher)
    return model
