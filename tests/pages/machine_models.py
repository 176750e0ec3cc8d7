"""Tiny trained models of a finite-state machine with their stores, for the pages that show machines and steer."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.build.precompute import build
from backend.catalog.cards import Card
from backend.data.machines import Machine
from backend.families.transformer.checkpoint import save_checkpoint
from backend.families.transformer.training.batches import WalkBatches
from backend.families.transformer.training.recipe import Recipe
from backend.families.transformer.training.runs import train_base, train_codebooks
from backend.families.transformer.training.shapes import Shape
from backend.nn.insertion.placement import Placement
from backend.train.runs import Run

MACHINE = Machine(states=9, edges=3, base=3, seed=5, length=33)
CODED, PLAIN = "walk", "walk-base"
SITES = ["L0.attn.h0", "L0.attn.h1", "L0.mlp"]


def make_models(data_dir: Path) -> Path:
    """`walk` (codebooks on attention, k = 1, and on the MLP, k = 2) built, and its base."""
    shape = Shape(layers=1, dim=32, heads=2, mlp=64)
    config = shape.config(MACHINE.vocabulary, MACHINE.length, MACHINE.bos)
    walks, run = WalkBatches(MACHINE), Run(device="cpu")
    base = train_base(config, walks, Recipe(steps=150, batch=32, lr=5e-3, save_every=0), run)
    save_checkpoint(base, data_dir / "checkpoints" / PLAIN, Card())
    places = (Placement("attn", codes=24, k=1), Placement("mlp", codes=32, k=2))
    recipe = Recipe(steps=20, batch=32, lr=5e-4, commitment=0.25, save_every=0)
    coded = train_codebooks(data_dir / "checkpoints" / PLAIN, walks, places, recipe, "kmeans", run)
    save_checkpoint(coded, data_dir / "checkpoints" / CODED, Card())
    (data_dir / "catalog").mkdir()
    settings = "\n".join(f"{k} = {v!r}".replace("'", '"') for k, v in MACHINE.settings.items())
    for name, base_name in ((CODED, PLAIN), (PLAIN, "")):
        (data_dir / "catalog" / f"{name}.toml").write_text(
            f'name = "{name}"\nfamily = "transformer"\nkind = "text"\ntitle = "A small walk"\n'
            f'checkpoint = "checkpoints/{name}"\nbase = "{base_name}"\n\n[dataset]\n{settings}\n'
        )
    build(CODED, data_dir, items=60, projection="pca")
    return data_dir


@pytest.fixture(scope="session")
def machine_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with both models, made once for all tests."""
    return make_models(tmp_path_factory.mktemp("machines"))
