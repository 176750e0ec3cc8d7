"""What `python -m backend train boards` does: a recipe makes a plan of the options, and trains it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend import catalog
from backend.train.recipes import (
    MEASURING,
    Recipe,
    RunOptions,
    add_model_options,
    add_run_options,
    check_free,
    run_options,
)
from backend.train.stages import Stages
from backend.types import ModelSpec


@dataclass(frozen=True)
class BoardPlan:
    """A run."""

    name: str
    run: RunOptions
    steps: int = 1
    together: bool = False


def _options(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, ", boards")
    add_run_options(parser.add_argument_group("training"))


def _plan(options: argparse.Namespace) -> BoardPlan:
    plan = BoardPlan(catalog.check_name(options.name or "boards"), run_options(options))
    check_free([plan.name], plan.run)
    return plan


def _work(plan: BoardPlan) -> Mapping[str, float]:
    return {"k-means": 1.0, **({MEASURING: 1.0} if plan.run.seeds else {})}


def _train(plan: BoardPlan, stages: Stages) -> Mapping[str, Any]:
    from tests.toy.boards import Boards
    from tests.toy.model import learn, save

    stages.stage("k-means")("k-means", 1, 1)
    spec = ModelSpec(plan.name, "boards", "board", "Codes of boards", {"name": "boards"}, f"checkpoints/{plan.name}")
    save(learn(Boards(), plan.run.seed), catalog.inside(plan.run.data_dir, spec.checkpoint))
    catalog.write_spec(spec, plan.run.data_dir)
    return {"seconds": 0.0, "seed": plan.run.seed}


RECIPES = (
    Recipe("boards", "boards with pieces", "Train codes of boards.", ("train boards",), _options, _plan, _work, _train),
)
