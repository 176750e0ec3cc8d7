"""Trains a model into the data directory: `python -m backend train RECIPE`.

1. What is trained, and how, is known by the family behind whose `train` door the recipe stands.
2. One process trains a name at a time; what `--resume` needs is under `<data_dir>/training/NAME/` until the run is finished.
3. The finished model is measured from its checkpoint, and the figures are added to its card.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import catalog, families
from backend.catalog.cards import Card, write_card
from backend.families.kind import Request
from backend.train.recipes import MEASURING, Plan, Recipe, folder_of
from backend.train.stages import Stages
from backend.types import Progress


@dataclass(frozen=True)
class TrainReport:
    """What was trained.

    Attributes:
        model: its name.
        checkpoint: its folder.
        steps: optimizer steps of the model itself.
        seconds: of the training, without measuring.
        metrics: name -> fields of a `Metric`; empty where it was not measured.
        remarks: what a person should know of the figures.
    """

    model: str
    checkpoint: Path
    steps: int
    seconds: float
    metrics: Mapping[str, Mapping[str, Any]]
    remarks: tuple[str, ...]


def recipes() -> dict[str, Recipe]:
    """Return everything that can be trained, by its name."""
    return {recipe.name: recipe for _, known in families.doors("train") for recipe in known}


def train(recipe: Recipe, plan: Plan, progress: Progress) -> TrainReport | None:
    """Do a run: train, keep, measure.

    Args:
        recipe: what is trained.
        plan: the run, as the recipe has worked it out.
        progress: called with (what, done, total); told about the whole run too, where it is a `Watcher`.

    Returns:
        What was trained; None in the processes of `accelerate launch` other than the first.

    Raises:
        BuildLocked: another process trains a model of that name.
        BadInput: the name is taken, or the run that is to go on had other options.
        CheckpointError: the saved state cannot be read.
        TrainingError: the loss is no longer a number.
    """
    from backend.build.lock import training_alone

    first = not plan.together or _is_first(plan)
    run, folder = plan.run, folder_of(plan)
    with training_alone(folder, plan.name) if first else nullcontext():
        began = time.monotonic()
        stages = Stages(progress, recipe.work(plan))
        training = recipe.train(plan, stages)
        if not first:
            return None
        seconds = time.monotonic() - began
        checkpoint = catalog.inside(run.data_dir, catalog.find(plan.name, run.data_dir).checkpoint)
        metrics: Mapping[str, Mapping[str, Any]] = {}
        if run.seeds:
            metrics = _measure(plan, stages)
            write_card(checkpoint, Card(metrics, training))
        shutil.rmtree(folder, ignore_errors=True)
        return TrainReport(
            plan.name, checkpoint, plan.steps, round(seconds, 2), metrics, tuple(recipe.remarks(metrics))
        )


def _is_first(plan: Plan) -> bool:
    from accelerate import PartialState

    return bool(PartialState(cpu=plan.run.device == "cpu").is_main_process)


def _measure(plan: Plan, stages: Stages) -> Mapping[str, Mapping[str, Any]]:
    from backend.jobs.evaluate import evaluate

    run, progress = plan.run, stages.stage(MEASURING)
    request = Request(run.seeds, steering=False, progress=progress)
    measures = evaluate(plan.name, run.data_dir, request, run.device)
    return {name: dataclasses.asdict(metric) for name, metric in measures.metrics().items()}
