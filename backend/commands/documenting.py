"""The docs' figures made anew from cards and records: `docs`."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterable

from backend.cli import Answer, Command, parser_arguments

WIDTH = 100  # characters of a line of help in the docs, whatever the terminal


def help_texts(commands: Iterable[Command]) -> dict[str, str]:
    """Return the help of every command by its name, as `python -m backend COMMAND --help` prints it."""
    texts = {}
    for command in commands:
        arguments = parser_arguments(command) | {
            "formatter_class": functools.partial(argparse.RawDescriptionHelpFormatter, width=WIDTH)
        }
        parser = argparse.ArgumentParser(prog=f"python -m backend {command.name}", **arguments)
        command.options(parser)
        texts[command.name] = parser.format_help()
    return texts


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is out of date")


def _docs(commands: Iterable[Command], options: argparse.Namespace) -> Answer:
    from backend.jobs import docs

    sources = docs.Sources(help_texts(commands), options.data_dir)
    stale = [page for page in docs.pages(sources) if page.change]
    data = {"pages": [page.path.name for page in stale]}
    if not options.check:
        names = [path.name for path in docs.write(sources)]
        return Answer(data, f"Written: {', '.join(names)}." if names else "Every page says what was measured.")
    if not stale:
        return Answer(data, "Every page says what was measured.")
    changes = "\n".join(page.change for page in stale)
    return Answer(data, f"{changes}\nOut of date: {', '.join(data['pages'])}. Run: python -m backend docs", 1)


def docs_command(commands: Callable[[], Iterable[Command]]) -> Command:
    """Make the command; `commands` gives all there are, itself among them."""
    return Command(
        "docs",
        "make the figures of the docs anew from cards and records",
        ("docs", "docs --check"),
        _options,
        lambda options, progress: _docs(commands(), options),
    )
