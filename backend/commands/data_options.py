"""The settings of a data set on the command line: `DataSource.options` as options, and back as what a person gave."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from backend.cli import counting, positive

if TYPE_CHECKING:
    from backend.data.source import Option


def add_data_options(parser: argparse._ActionsContainer, options: Iterable[Option]) -> None:
    """Add options to a parser or to a group of it."""
    numbers = {0: counting, 1: positive}
    for option in options:
        kind = _names if option.several else str if option.least is None else numbers[option.least]
        parser.add_argument(
            *option.flags,
            dest=option.dest,
            type=kind,
            choices=option.choices or None,
            required=option.required,
            metavar=option.metavar,
            help=option.about.replace("%", "%%"),
        )


def given_settings(options: Iterable[Option], parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that a person gave, for `DataSource.settings`; what was left out is left out."""
    values = {option.setting: getattr(parsed, option.dest) for option in options}
    return {setting: value for setting, value in values.items() if value is not None}


def _names(text: str) -> list[str]:
    """Argument type: names with commas between them; an empty text names nothing."""
    return [name.strip() for name in text.split(",") if name.strip()]
