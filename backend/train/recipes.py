"""What `train` offers, as it is seen from the outside: a recipe makes a plan of the options, a plan trains.

A family's `train` door is a tuple of `Recipe`s, one a data set that its models can learn from. Nothing heavy is imported here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from backend import catalog
from backend.cli import add_device, counting, given_path, positive
from backend.data.datasets import source_of
from backend.data.source import DataSource, Option, Settings
from backend.errors import BadInput
from backend.train.stages import Stages
from backend.types import Progress

MEASURING = "measuring"  # the last stage of a run that is measured at its end
# how a run goes, not what comes of it: a run that was stopped may go on with others
_NOT_PART_OF_THE_RUN = frozenset(
    {"data_dir", "json", "progress", "command", "trains", "resume", "overwrite", "device", "evaluate"}
)


@dataclass(frozen=True)
class RunOptions:
    """What a person says of any training, whatever is trained.

    Attributes:
        data_dir: where models and training states go.
        seed: of everything random in the training.
        device: `cpu` or `cuda`.
        resume: go on with a run that was stopped.
        overwrite: replace a model of that name.
        seeds: the model is measured with so many at the end; 0: it is not.
        identity: the options that make the run what it is, as the model card keeps them.
    """

    data_dir: Path
    seed: int
    device: str
    resume: bool
    overwrite: bool
    seeds: int
    identity: Mapping[str, Any]


class Plan(Protocol):
    """A run, worked out of the options and checked: nothing in it can turn out to be impossible after hours of work."""

    @property
    def name(self) -> str:
        """Of the new model."""
        ...

    @property
    def run(self) -> RunOptions:
        """What is the same for any training."""
        ...

    @property
    def steps(self) -> int:
        """Optimizer steps of the model itself."""
        ...

    @property
    def together(self) -> bool:
        """Whether several processes of `accelerate launch` train it together; else each is on its own."""
        ...


@dataclass(frozen=True)
class Recipe:
    """One thing that can be trained: the models of a family on a data set.

    Attributes:
        name: as it is typed, the data set's.
        about: one line for people, for the list of recipes.
        description: a sentence.
        examples: command lines behind `python -m backend`.
        options: adds its arguments to a parser.
        plan: the parsed options -> the run. Raises `BadInput` or `UsageError` for options that cannot be.
        work: the run -> its stages in their order, each with about how much work it is; `MEASURING` is the last, if it is one.
        train: does the run: writes the checkpoint and the catalog entry, returns `training` of the model card. Everything that
            `resume` needs is in `folder_of` the run until then. Raises `BadInput` where the name is taken or the run that is
            to go on had other options, `CheckpointError` where its state cannot be read, `TrainingError` where the loss is
            no longer a number.
        remarks: metrics of the trained model -> what a person should know of them.
    """

    name: str
    about: str
    description: str
    examples: tuple[str, ...]
    options: Callable[[argparse.ArgumentParser], None]
    plan: Callable[[argparse.Namespace], Any]
    work: Callable[[Any], Mapping[str, float]]
    train: Callable[[Any, Stages], Mapping[str, Any]]
    remarks: Callable[[Mapping[str, Mapping[str, Any]]], Sequence[str]] = lambda metrics: ()


def folder_of(plan: Plan) -> Path:
    """Return where everything is that a run needs to go on after a stop."""
    return catalog.inside(plan.run.data_dir, Path("training") / plan.name)


def check_free(names: Sequence[str], run: RunOptions) -> None:
    """Refuse to hide models that are there.

    Raises:
        BadInput: one of the names is taken and is not to be overwritten.
    """
    known = catalog.models(run.data_dir)
    if not run.overwrite and (taken := [name for name in names if name in known]):
        raise BadInput(
            f"There is a model {taken[0]!r} already. Give another with --name, or --overwrite to replace it."
        )


def tell_notes(dataset: Settings, progress: Progress) -> None:
    """Tell what a person should know about their data before anything long begins; see `DataSource.notes`."""
    notes = source_of(dataset).notes
    for report in notes(dataset) if notes else ():
        progress(str(report), 0, 0)


# -- options -------------------------------------------------------------------------------------------------------------


def add_model_options(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the options that say which model a run makes; `example` is how it is named where nothing is said."""
    parser.add_argument("--name", help=f"name of the new model (made from the options{example})")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped, from its last saved state"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model of that name")


def add_run_options(group: argparse._ArgumentGroup) -> None:
    """Add the options of any training that stand behind those of the family."""
    group.add_argument("--seed", type=counting, default=0, help="of everything random in training (0)")
    add_device(group)
    group.add_argument(
        "--evaluate", type=counting, default=1, metavar="N", help="measure with N seeds at the end; 0 not (1)"
    )


def run_options(options: argparse.Namespace) -> RunOptions:
    """Return what the options say of any training; `device` is one that is there."""
    identity = {key: value for key, value in sorted(vars(options).items()) if key not in _NOT_PART_OF_THE_RUN}
    return RunOptions(
        options.data_dir,
        options.seed,
        options.device,
        options.resume,
        options.overwrite,
        options.evaluate,
        identity,
    )


def add_source_options(group: argparse._ArgumentGroup, options: Sequence[Option], required: bool = True) -> None:
    """Add the settings of data sets as a person gives them.

    Args:
        group: where to.
        options: theirs.
        required: insist on those that a data set cannot do without; False where another data set may be chosen.
    """
    for option in options:
        group.add_argument(
            *option.flags,
            dest=option.dest,
            type=_type_of(option),
            choices=option.choices or None,
            metavar=option.metavar,
            required=required and option.required,
            help=option.about.replace("%", "%%"),
        )


def _type_of(option: Option) -> Callable[[str], Any]:
    if option.several:
        return _names
    if option.least is not None:
        return positive if option.least else counting
    return given_path if option.required else str  # what a data set cannot do without is where it is


def _names(text: str) -> list[str]:
    """Read names with commas between them; an empty text names nothing."""
    return [name.strip() for name in text.split(",") if name.strip()]


def given_settings(options: argparse.Namespace, source: DataSource) -> dict[str, Any]:
    """Return the settings of a data set that a person gave; those that were left out are not in it."""
    return given_of(options, source.options)


def given_of(options: argparse.Namespace, settings: Sequence[Option]) -> dict[str, Any]:
    """Return those of some settings that a person gave."""
    values = {option.setting: getattr(options, option.dest) for option in settings}
    return {setting: value for setting, value in values.items() if value is not None}
