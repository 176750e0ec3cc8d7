"""What training a tokenizer is to do, worked out of the options and checked before any picture is drawn."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend import catalog
from backend.data.datasets import source_of, sources
from backend.data.source import DataSource
from backend.errors import UsageError
from backend.families.image_tokenizer.training.recipe import TokenizerRecipe
from backend.train.recipes import RunOptions, given_settings, run_options

# option -> the method that alone knows it
_OF_METHODS = {"no_projector": "lc", "no_zero_init": "fvq", "features": "lc", "levels": "rvq"}


@dataclass(frozen=True)
class TokenizerPlan:
    """One run, checked. See `backend.train.recipes.Plan`.

    Attributes:
        name: of the new model.
        run: what is the same for any training.
        recipe: how it is trained.
        half: keep the networks in half precision.
    """

    name: str
    run: RunOptions
    recipe: TokenizerRecipe
    half: bool
    together: bool = False

    @property
    def steps(self) -> int:
        """See `Plan`."""
        return self.recipe.steps


def make_plan(options: argparse.Namespace) -> TokenizerPlan:
    """Work out a run.

    Raises:
        UsageError: options that do not go together, or sizes that a method cannot have.
    """
    recipe = _recipe(options)
    name = catalog.check_name(recipe.model if options.name is None else options.name)
    return TokenizerPlan(name, run_options(options), recipe, options.half)


def _recipe(options: argparse.Namespace) -> TokenizerRecipe:
    from backend.nn.bridge import codes_a_token

    dataset = _dataset(options)
    for option, method in _OF_METHODS.items():
        if getattr(options, option) and options.method != method:
            raise UsageError(f"--{option.replace('_', '-')} is for --method {method}, not {options.method}.")
    settings: dict[str, Any] = {}
    if options.no_projector:
        settings["projector"] = False
    if options.no_zero_init:
        settings["zero"] = False
    if options.size % options.downsampling:
        raise UsageError(f"Pictures of {options.size} pixels cannot be cut into cells of {options.downsampling}.")
    if options.method == "fvq":
        codes_a_token(options.codes)  # a perfect square
    recipe = TokenizerRecipe(
        dataset,
        options.method,
        options.codes,
        options.dim,
        options.levels or TokenizerRecipe.levels,
        options.steps,
        options.batch,
        options.lr,
        not options.no_annealing,
        width=options.width,
        blocks=options.blocks,
        downsampling=options.downsampling,
        pool=options.pool,
        features=options.features or TokenizerRecipe.features,
        settings=settings,
    )
    assert recipe.network  # sizes that make no network are refused before anything is drawn
    return recipe


def _dataset(options: argparse.Namespace) -> Mapping[str, Any]:
    """Return the `[dataset]`: of the recipe's name, of `--data-set`, or the one that alone knows an option that is given."""
    source = source_of(options.data_set or options.recipe, "image")
    for other in sources("image"):
        strange = [option for option in other.options if option not in source.options]
        if choice := next((option for option in strange if getattr(options, option.dest) is not None), None):
            if options.data_set is not None:
                raise UsageError(
                    f"{choice.flags[0]} and --data-set {options.data_set} name different pictures. Leave one out."
                )
            source = other
    _check_given(options, source)
    return source.settings({"size": options.size, **given_settings(options, source)})


def _check_given(options: argparse.Namespace, source: DataSource) -> None:
    for option in source.options:
        if option.required and getattr(options, option.dest) is None:
            raise UsageError(f"Which pictures? Give {option.flags[0]} {option.metavar}.")
