"""What a command is, and how its answer and its progress are shown.

Command modules import nothing heavy when they are loaded: `--help` and wrong usage answer at once.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from backend.catalog import DEFAULT_DATA_DIR
from backend.edits.codes import Edit, first_generated
from backend.errors import UsageError
from backend.types import Progress

if TYPE_CHECKING:
    from rich.console import Console

BAR = 24  # characters
MOST = 2**63 - 1  # of a whole number in an argument: what a seed and a column of a store can hold


@dataclass(frozen=True)
class Answer:
    """What a command found.

    Attributes:
        data: the JSON document of `--json`.
        text: the same for people, without a newline at the end.
        status: exit status.
    """

    data: Mapping[str, Any]
    text: str
    status: int = 0


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: as typed.
        summary: one line.
        examples: command lines behind `python -m backend`.
        options: adds its arguments to a parser.
        run: does it; gets the parsed arguments (`data_dir` is a `Path`) and where to report progress.
        about: more for `--help`: what it makes of what, and words that a newcomer does not know.
    """

    name: str
    summary: str
    examples: tuple[str, ...]
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Progress], Answer]
    about: str = ""


class Bar:
    """Progress on one line of stderr, with the time that is left; says nothing unless `shown`.

    Where it is told about the whole of a run (`backend.train.stages.Watcher`), bar and time are those of the whole, and the
    stage at work stands behind them.
    """

    def __init__(self, shown: bool, stream: TextIO | None = None) -> None:
        """Write to `stream` (stderr); where it is not a terminal, a new line at most every five seconds."""
        self.shown = shown
        self._stream = stream or sys.stderr
        self._rewrites = self._stream.isatty()
        self._stage, self._began, self._last, self._open = "", 0.0, -math.inf, False
        self._whole: tuple[int, int, float, float | None] | None = None

    def whole(self, number: int, count: int, share: float, left: float | None) -> None:
        """Take in that stage `number` of `count` is at work, the share of the whole, and the seconds that are left."""
        self._whole = (number, count, share, left) if count > 1 else None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report `done` of `total`; a total of 0 is a message and no count."""
        if not self.shown:
            return
        now = time.monotonic()
        kind = stage.split(",")[0]
        if kind != self._stage:
            self.close()
            self._stage, self._began, self._last = kind, now, -math.inf
        if total <= 0:
            self._write(None, stage, final=True)
            return
        final = done >= total
        if not final and now - self._last < (0.1 if self._rewrites else 5.0):
            return
        self._last = now
        share = min(1.0, done / total)
        count = f"{done:,}/{total:,}"
        if self._whole is not None:
            number, of, whole, left = self._whole
            about = f", about {_roughly(left)} left in all" if left is not None else ""
            self._write(whole, f"{100 * whole:.0f} %{about}  {number} of {of}: {count} {stage}", final)
            return
        spent = now - self._began
        seconds = seconds_left(spent, share)
        rest = "" if seconds is None else f", {_duration(seconds)} left"
        self._write(share, f"{count}{rest}  {stage}", final)

    def close(self) -> None:
        """End the line, if one is open."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = False

    def _write(self, share: float | None, words: str, final: bool) -> None:
        if self._rewrites:
            self._draw(share, words)
            self._open = True
            if final:
                self.close()
        else:
            filled = round(BAR * (share or 0.0))
            bar = "" if share is None else f"[{'#' * filled}{'.' * (BAR - filled)}] "
            self._stream.write(f"{bar}{words}\n")
        self._stream.flush()

    def _draw(self, share: float | None, words: str) -> None:
        """Draw over the line, cut where the terminal ends: one that wraps could not be drawn over."""
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        console = self._console
        line = Text()
        if share is not None:
            for segment in console.render(ProgressBar(total=1.0, completed=share, width=BAR)):
                line.append(segment.text, segment.style)
            line.append(" ")
        line.append(words)
        line.truncate(console.width - 1, overflow="ellipsis")
        self._stream.write("\r\x1b[K")
        console.print(line, end="", soft_wrap=True)

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(file=self._stream, highlight=False, markup=False, emoji=False)


class Lines:
    """Progress for programs: one JSON object a line on stderr, `{"stage", "done", "total", "left"}`.

    `left` is an estimate in seconds, or null; a `total` of 0 marks a message. Five lines a second, and each stage's last.
    Where it is told about the whole of a run (`backend.train.stages.Watcher`), `done`, `total` and `left` are those of the
    whole, and the count of the stage stands in its words.
    """

    shown = True
    PARTS = 1000  # that the whole of a run is told in

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream` (stderr)."""
        self._stream = stream or sys.stderr
        self._stage, self._began, self._last = "", 0.0, -math.inf
        self._whole: tuple[float, float | None] | None = None

    def whole(self, number: int, count: int, share: float, left: float | None) -> None:
        """Take in the share of the whole and the seconds that are left, stage `number` of `count` being at work."""
        self._whole = (share, left) if count > 1 else None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report `done` of `total`."""
        now = time.monotonic()
        if (kind := stage.split(",")[0]) != self._stage:
            self._stage, self._began, self._last = kind, now, -math.inf
        if done < total and now - self._last < 0.2:
            return
        self._last = now
        left = seconds_left(now - self._began, done / total) if total > 0 else None
        if self._whole is not None and total > 0:
            share, left = self._whole
            stage, done, total = f"{stage}, {done:,} of {total:,}", round(self.PARTS * share), self.PARTS
        self._stream.write(json.dumps({"stage": stage, "done": done, "total": total, "left": left}) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: every line is whole."""


def seconds_left(spent: float, share: float) -> float | None:
    """Estimate how long the rest takes; None where too little has been done to say.

    Args:
        spent: seconds since the beginning.
        share: what was done in them, 0 to 1.
    """
    return spent * (1 - share) / share if 0 < share < 1 and spent > 2 else None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def _roughly(seconds: float) -> str:
    """Say an estimate in no finer steps than it deserves: of 5 s, from two minutes on of whole minutes."""
    return _duration(5 * math.ceil(seconds / 5) if seconds < 120 else 60 * round(seconds / 60)).removesuffix(" 0 s")


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows: NaN becomes null, numpy's numbers plain ones, paths and codes text."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Set rows under headings, columns aligned, numbers to the right; long cells are folded to a terminal's width."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=None)
    for i, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[i], int | float | np.number) for row in rows)
        grid.add_column(Text(column), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(shown(value)) for value in row))
    width = None if sys.stdout.isatty() else 1 << 16  # what is piped on is one line a row
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def shown(value: Any) -> str:
    """Write a value as a table's cell: one line, without control characters."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        return "-" if not math.isfinite(number) else f"{number:.4g}" if abs(number) < 1000 else f"{number:,.0f}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return clean(str(value))


def clean(text: str) -> str:
    """Write text as one line that cannot move a terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def metric_table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Set measured numbers in a table for people."""
    return table(
        ["measure", "value", "low", "high", "n", "seeds"],
        [[name, m["value"], m["low"], m["high"], m["n"], m["seeds"]] for name, m in metrics.items()],
    )


def everywhere(default: bool) -> argparse.ArgumentParser:
    """Make the options of every command, which stand before it or behind it; what stands behind wins.

    Args:
        default: the parser of the program itself, which holds the defaults.
    """
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("everywhere")
    missing = argparse.SUPPRESS
    group.add_argument(
        "--data-dir",
        metavar="DIR",
        default=str(DEFAULT_DATA_DIR) if default else missing,
        help="where checkpoints, builds and results are (data_cache)",
    )
    group.add_argument(
        "--json", action="store_true", default=False if default else missing, help="print one JSON document"
    )
    group.add_argument(
        "--progress",
        action="store_true",
        default=False if default else missing,
        help="report progress on stderr even where it is not a terminal",
    )
    group.add_argument(
        "--progress-json",
        action="store_true",
        default=False if default else missing,
        help="report progress on stderr in lines of JSON, for programs",
    )
    return parser


def parser_arguments(command: Command) -> dict[str, Any]:
    """Return what a command's parser is made with: description, examples, and the options that every command has."""
    summary = f"{command.summary[0].upper()}{command.summary[1:]}."
    return {
        "description": "\n\n".join(filter(None, (summary, command.about))),
        "epilog": examples(command.examples),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "parents": [everywhere(False)],
        "allow_abbrev": False,
    }


def examples(lines: Sequence[str]) -> str:
    """List command lines as they are typed, for the end of a `--help`."""
    return "examples:\n" + "\n".join(f"  python -m backend {line}" for line in lines)


EDITS = """\
an edit is SITE:CODE, with more behind it where it is needed:
  L1.mlp:41                 code 41 of the codebook L1.mlp, in place of what the model would choose
  L1.mlp:41:0.8             blended in by a strength from 0 (nothing) to 1.5
  L1.mlp:41:+0.3            added to what the model chooses, times 0.3
  L1.mlp:41:ban             never chosen; the next best code is
  L1.mlp:41:zero            its slot is left empty where it would be chosen
  L1.mlp:41@3,5..9          at these positions only, from 0 (-1: the prompt's last)
  L1.mlp:41@generated:40    in the first 40 new tokens; @generated: in all new ones; @prompt; @all (all)
  L1.mlp:41#0               in this one of the k slots"""


def next_step(command: str, data_dir: Path) -> str:
    """Say what to do next, as it can be typed: `Next: python -m backend build mine`."""
    where = "" if data_dir == DEFAULT_DATA_DIR else f" --data-dir {shlex.quote(str(data_dir))}"
    return f"Next: python -m backend {command}{where}"


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the argument MODEL."""
    parser.add_argument("model", metavar="MODEL", help="name of a model; `python -m backend models` lists them")


def add_edit(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add the option --edit."""
    parser.add_argument(
        "--edit",
        action="append",
        required=required,
        default=None if required else [],
        metavar="EDIT",
        help="SITE:CODE[:STRENGTH|:+STRENGTH|:ban|:zero][@WHERE][#SLOT], see below; repeatable",
    )


def edits_of_given(texts: Sequence[str]) -> list[Edit]:
    """Read edits for what is there already: nothing is written behind it.

    Raises:
        UsageError: one acts on new tokens alone.
    """
    edits = [Edit.parse(text) for text in texts]
    for edit in edits:
        if first_generated(edit.where) is not None:
            raise UsageError(f"{edit} acts on new tokens, and none are written here. Give it another place, or none.")
    return edits


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add the option --device, which `chosen_device` turns into a device that is there."""
    parser.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="a GPU if there is one (auto)"
    )


def chosen_device(device: str) -> str:
    """Choose `cpu` or `cuda`; raises `Unsupported` for `cuda` where torch has no GPU."""
    import torch

    from backend.errors import Unsupported

    if device == "cuda" and not torch.cuda.is_available():
        raise Unsupported("There is no GPU that torch can use here. Leave --device out, or give --device cpu.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def given_path(text: str) -> str:
    """Read a path or an address; an empty one, which would mean the working directory, is a slip."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty, but names a file or a folder")
    return text


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    return _at_least(text, 1)


def counting(text: str) -> int:
    """Read a whole number of at least 0; seeds too."""
    return _at_least(text, 0)


def temperature(text: str) -> float:
    """Read a temperature from 0 to 100, as of `Sampling`."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a temperature: it must be a number from 0 to 100")
    return number


def _at_least(text: str, low: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number") from None
    if not low <= number <= MOST:
        raise argparse.ArgumentTypeError(f"{text[:40]} is out of range: it must be from {low} to {MOST}")
    return number


def new_file(path: str) -> Path:
    """Check where a person wants something written.

    Raises:
        BadInput: it is a folder or a device, or in a folder that is not there or cannot be written to.
    """
    from backend.errors import BadInput

    out = Path(path).expanduser()
    if out.is_dir():
        raise BadInput(
            f"{path or '(nothing)'} is a folder, not a file to write to. Give a file, e.g. {out / 'codes.npz'}."
        )
    out = out.resolve()  # what a link names is written, not the link
    if not out.parent.is_dir():
        raise BadInput(f"There is no folder {out.parent} to write {out.name} into. Make it first.")
    if out.exists() and not out.is_file():
        raise BadInput(f"{path} is not a plain file (a device or a pipe). Give a file, e.g. codes.npz.")
    if not os.access(out.parent, os.W_OK) or out.parent.is_relative_to("/proc"):
        raise BadInput(f"Nothing can be written to {out.parent}. Give a file in another folder.")
    return out


def existing_file(path: str, what: str) -> Path:
    """Check a file that a person named.

    Raises:
        BadInput: there is none.
    """
    from backend.errors import BadInput

    file = Path(path).expanduser()
    if not file.is_file():
        raise BadInput(f"There is no file {path} to read {what} from. Check the path.")
    return file
