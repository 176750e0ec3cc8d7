"""Small models of a finite-state machine with random weights, and their bases, in a catalog."""

from __future__ import annotations

from pathlib import Path

import torch

from backend.catalog.cards import Card
from backend.data.machines import Machine
from backend.families.transformer.checkpoint import build_model, save_checkpoint
from backend.families.transformer.training.batches import WalkBatches
from backend.families.transformer.training.first_codes import initialize
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.placement import Placement
from backend.types import ModelSpec

MACHINE = Machine(states=9, edges=3, base=3, seed=5, length=33)
SETTINGS = "\n".join(f"{k} = {v!r}".replace("'", '"') for k, v in MACHINE.settings.items())


def make(data: Path, backbone: str) -> ModelSpec:
    """A model with random weights, its base, and both in the catalog."""
    torch.manual_seed(0)
    config = Shape(backbone, 2, 32, 2, 64).config(MACHINE.vocabulary, 33, MACHINE.bos)
    (data / "catalog").mkdir(exist_ok=True)
    places = (Placement("attn", codes=24, k=2), Placement("mlp", codes=32, k=2))
    for name, own in ((backbone, places), (f"{backbone}-base", ())):
        model = build_model(config, own)
        if own:
            initialize(model, WalkBatches(MACHINE), "data", rows=2000)
        save_checkpoint(model, data / "checkpoints" / name, Card())
        (data / "catalog" / f"{name}.toml").write_text(
            f'name = "{name}"\nfamily = "transformer"\nkind = "text"\ntitle = "x"\ncheckpoint = "checkpoints/{name}"\n'
            f'base = "{f"{backbone}-base" if own else ""}"\n\n[dataset]\n{SETTINGS}\n'
        )
    return ModelSpec(
        backbone, "transformer", "text", "x", MACHINE.settings, f"checkpoints/{backbone}", base=f"{backbone}-base"
    )
