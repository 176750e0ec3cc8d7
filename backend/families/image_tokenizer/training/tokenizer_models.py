"""From a recipe to a model of the catalog: train a tokenizer, keep its checkpoint, say what it is."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.catalog.cards import Card, read_card
from backend.families.image_tokenizer.model import save_tokenizer
from backend.families.image_tokenizer.training.recipe import TokenizerRecipe
from backend.families.image_tokenizer.training.tokenizers import train_tokenizer
from backend.families.image_tokenizer.training.work import PICTURES
from backend.nn.tables import METHODS
from backend.train.recipes import check_free, folder_of, tell_notes
from backend.train.runs import Run
from backend.types import ModelSpec

if TYPE_CHECKING:
    from backend.families.image_tokenizer.plan import TokenizerPlan
    from backend.train.stages import Stages

POOLS = "training/pools"  # in the data directory: pictures drawn to train on


def tokenizer_spec(name: str, recipe: TokenizerRecipe, published: Mapping[str, Any], demo: int = 0) -> ModelSpec:
    """Return the catalog entry; its title says that the model was trained here, on little."""
    size = recipe.dataset.get("size", 32)
    levels = f"{recipe.levels} tables of " if recipe.method == "rvq" else ""
    title = (
        f"{METHODS[recipe.method][0]}, {levels}{recipe.codes:,} codes: a small tokenizer of {recipe.dataset['name']} "
        f"({size} pixels) trained here"
    )
    return ModelSpec(
        name, "image_tokenizer", "image", title, recipe.dataset, f"checkpoints/{name}", published=published, demo=demo
    )


def make_tokenizer_model(
    spec: ModelSpec, recipe: TokenizerRecipe, run: Run, data_dir: Path, *, half: bool = False, again: bool = False
) -> dict[str, Any]:
    """Train a tokenizer into the catalog unless it is there with these very settings.

    Args:
        spec: its catalog entry.
        recipe: how to train it.
        run: seed, device, progress; state and log are put into the run's folder, and a stopped run goes on with `resume`.
        data_dir: where everything goes.
        half: keep the networks in half precision.
        again: train even if it is there.

    Returns:
        `training` of the model card: settings, seconds, `curve`.

    Raises:
        UsageError, BadInput, CheckpointError, TrainingError: see `train_tokenizer`.
    """
    folder = catalog.inside(data_dir, spec.checkpoint)
    training = trained_with(spec, recipe, run.seed, data_dir, half=half)
    if training is not None and not again:
        catalog.write_spec(spec, data_dir)
        return training
    work = catalog.inside(data_dir, Path("training") / spec.name)
    work.mkdir(parents=True, exist_ok=True)
    run = replace(run, state=work / "state.pt", log=work / "log.jsonl")
    began = time.monotonic()
    trained = train_tokenizer(recipe, run, catalog.inside(data_dir, POOLS))
    about = _settings(recipe, run.seed, half) | {
        "steps": recipe.steps,
        "seconds": round(time.monotonic() - began, 1),
        "parameters": sum(p.numel() for n, p in trained.model.named_parameters() if not n.startswith("tables.")),
        "curve": list(trained.curve),
    }
    card = Card(training=about)
    save_tokenizer(trained.model, folder, card, method=trained.method, producer=trained.producer, half=half)
    catalog.write_spec(spec, data_dir)
    shutil.rmtree(work, ignore_errors=True)
    return about


def train_plan(plan: TokenizerPlan, stages: Stages) -> Mapping[str, Any]:
    """Train what a plan says into the catalog; returns `training` of the model's card. See `backend.train.recipes.Recipe`."""
    run = plan.run
    spec = tokenizer_spec(plan.name, plan.recipe, {})
    same = trained_with(spec, plan.recipe, run.seed, run.data_dir, half=plan.half) is not None
    measure_only = run.resume and same  # it was stopped while it was measured
    if not measure_only:
        check_free([plan.name], run)
    if not run.resume:
        shutil.rmtree(folder_of(plan), ignore_errors=True)
    tell_notes(plan.recipe.dataset, stages.stage(PICTURES))
    settings = Run(run.seed, run.device, resume=run.resume, stages=stages)
    return make_tokenizer_model(spec, plan.recipe, settings, run.data_dir, half=plan.half, again=not measure_only)


def trained_with(
    spec: ModelSpec, recipe: TokenizerRecipe, seed: int, data_dir: Path, *, half: bool
) -> dict[str, Any] | None:
    """Return `training` of the card of a model that was trained with these very settings; None: there is none."""
    return read_card(catalog.inside(data_dir, spec.checkpoint)).trained_as(_settings(recipe, seed, half))


def _settings(recipe: TokenizerRecipe, seed: int, half: bool) -> dict[str, Any]:
    """Return what makes the outcome what it is, as the card keeps it."""
    settings: dict[str, Any] = json.loads(json.dumps({"recipe": recipe.to_json(), "seed": seed, "half": half}))
    return settings
