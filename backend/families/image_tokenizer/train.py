"""What `train` offers of image tokenizers: one recipe a data set of pictures. Nothing heavy is imported here.

All methods are trained with the same network and schedule. What a run does is worked out in `plan`, done in
`training.tokenizer_models`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from backend.cli import counting, given_path, positive
from backend.data.datasets import sources
from backend.families.image_tokenizer.plan import TokenizerPlan, make_plan
from backend.families.image_tokenizer.training.recipe import METHODS, POOL
from backend.train.recipes import Recipe, add_model_options, add_run_options, add_source_options
from backend.train.stages import Stages

_EXAMPLES = (
    "train scenes --method fvq --codes 4096",
    "train photos --method vq --codes 1024 --steps 500",
    "train digits --method vq --codes 64 --steps 300",
    "train mixture --method lc --codes 1024",
    "train folder --images my-pictures --method lc --codes 1024 --size 64 --name mine",
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, ", e.g. scenes-fvq-4096")
    _add_codes(parser.add_argument_group("codes"))
    _add_pictures(parser.add_argument_group("pictures"))
    training = parser.add_argument_group("network and training")
    _add_training(training)
    add_run_options(training)


def _add_codes(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--method", choices=METHODS, default="fvq", help="how the table is produced (fvq)")
    group.add_argument(
        "--codes", type=positive, default=4096, metavar="K", help="of each table; a perfect square for fvq (4096)"
    )
    group.add_argument("--dim", type=counting, default=0, help="length of a code (16; 8 for fc)")
    group.add_argument("--levels", type=positive, help="rvq: tables, each for what the ones before leave (4)")
    group.add_argument(
        "--features",
        type=given_path,
        metavar="WHICH",
        help="lc: autoencoder (trained here), random, or a .npy file of your own [at least K, any] (autoencoder)",
    )
    group.add_argument("--no-projector", action="store_true", help="lc: the frozen features are the codes")
    group.add_argument("--no-zero-init", action="store_true", help="fvq: start the bridge's last layer at random")


def _add_pictures(group: argparse._ArgumentGroup) -> None:
    learnable = [source for source in sources("image") if source.learnable]
    names = tuple(source.name for source in learnable)
    group.add_argument("--data-set", choices=names, help="other pictures than the recipe's name says")
    options = dict.fromkeys(option for source in learnable for option in source.options)
    add_source_options(group, [*options], required=False)  # that one is given is what chooses its data set
    group.add_argument("--size", type=positive, default=32, metavar="PIXELS", help="one side (32)")
    group.add_argument("--pool", type=positive, default=POOL, metavar="N", help=f"drawn to train on ({POOL})")


def _add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--width", type=positive, default=32, help="channels at half the resolution (32)")
    group.add_argument("--blocks", type=positive, default=1, help="residual blocks at each resolution (1)")
    group.add_argument("--downsampling", type=positive, default=4, metavar="F", help="pixels a side of a cell (4)")
    group.add_argument("--steps", type=positive, default=2000, help="steps (2000)")
    group.add_argument("--batch", type=positive, default=32, help="pictures a step (32)")
    group.add_argument("--lr", type=float, default=1e-3, help="peak learning rate (1e-3)")
    group.add_argument("--no-annealing", action="store_true", help="hold the learning rate to the end")
    group.add_argument("--half", action="store_true", help="keep the networks in half precision")


def _work(plan: TokenizerPlan) -> Mapping[str, float]:
    from backend.families.image_tokenizer.training.work import work_of

    return work_of(plan.recipe, plan.run.seeds)


def _train(plan: TokenizerPlan, stages: Stages) -> Mapping[str, Any]:
    from backend.families.image_tokenizer.training.tokenizer_models import train_plan

    return train_plan(plan, stages)


RECIPES = tuple(
    Recipe(
        source.name,
        f"an image tokenizer on {source.about}",
        f"Train an image tokenizer on {source.about}.",
        tuple(example for example in _EXAMPLES if example.startswith(f"train {source.name} ")),
        _add_options,
        make_plan,
        _work,
        _train,
    )
    for source in sources("image")
    if source.learnable
)
