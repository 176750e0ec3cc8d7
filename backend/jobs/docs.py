"""Writes the figures of the docs from the records and cards that hold them, so that text and measurement cannot part.

A page of `app/docs/` says in a comment what a table holds; what stands below it, to the end mark, is made here:

    <!-- figures
    record = "tokfsm"                                 # a record of `data_cache/results`: one row a trained model
    columns = [["loss, nats", "{lm_loss:.4f}"], ["paper", "{paper.lm_loss:.3f}"]]
    rows = [["**no codebooks**", "tokfsm-base"]]      # what a row is called and whose figures it holds; all by default
    -->
    ...
    <!-- end -->

1. The comment is TOML. `record` names a record, `cards` a list of models whose cards are read, `benchmarks` the record of
   `bench`; `transpose = true` puts the models into the columns.
2. A cell is a template. `{name:format}` is a measure, `{n.name:format}` how many cases it is over, `{paper.name:format}` the
   paper's own figure, `{training.key:format}` how it was trained; `{max name.*:format}` and `{min name.*:format}` go over
   all measures of such names. A format is Python's, or `%N`: per cent with N decimals. What is missing is a dash.
3. Where several rows of a record bear one title (training seeds), a cell is the range over them.
4. `<!-- commands -->` is followed by the help of every command, `<!-- questions -->` by every public method of the explorer.
"""

from __future__ import annotations

import difflib
import fnmatch
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.catalog import DEFAULT_DATA_DIR, ROOT
from backend.errors import BadInput
from backend.files import write_atomically

DOCS = ROOT / "app" / "docs"
MISSING = "–"
_BLOCK = re.compile(r"(<!-- (figures|commands|questions)\b(.*?)-->\n)(.*?)(<!-- end -->)", re.DOTALL)
_FIELD = re.compile(r"\{([^{}]+):([^:{}]*)\}")
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """What the docs are made from.

    Attributes:
        commands: name of a command -> its help.
        data_dir: where cards and records are.
    """

    commands: Mapping[str, str]
    data_dir: Path = DEFAULT_DATA_DIR


@dataclass(frozen=True)
class Page:
    """One page of the docs.

    Attributes:
        path: its file.
        text: as it stands.
        fresh: as it should stand.
    """

    path: Path
    text: str
    fresh: str

    @property
    def change(self) -> str:
        """What would change, as a diff; empty where nothing would."""
        lines = difflib.unified_diff(
            self.text.splitlines(), self.fresh.splitlines(), str(self.path.name), "made anew", lineterm="", n=0
        )
        return "\n".join(lines)


def pages(sources: Sources, folder: Path = DOCS) -> list[Page]:
    """Read every page of the docs and make its figures anew.

    Args:
        sources: what the docs are made from.
        folder: of the pages.

    Raises:
        BadInput: a comment is not TOML, or names a record or model that is not there.
    """
    return [_page(path, sources) for path in sorted(folder.glob("*.md"))]


def write(sources: Sources, folder: Path = DOCS) -> list[Path]:
    """Write the pages whose figures have changed; returns them."""
    changed = [page for page in pages(sources, folder) if page.text != page.fresh]
    for page in changed:
        write_atomically(page.path, page.fresh)
    return [page.path for page in changed]


def _page(path: Path, sources: Sources) -> Page:
    text = path.read_text(encoding="utf-8")

    def fresh(match: re.Match[str]) -> str:
        head, kind, body, _, end = match.groups()
        try:
            block = _MAKERS[kind](body, sources)
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"{path.name}: the table described by {body.strip()[:80]!r} cannot be made: {error}."
            ) from error
        return f"{head}\n{block}\n\n{end}"

    return Page(path, text, _BLOCK.sub(fresh, text))


# ---- tables of figures


def _figures(body: str, sources: Sources) -> str:
    spec = tomllib.loads(body)
    columns: list[list[str]] = spec["columns"]
    first: str = spec.get("first", "")
    rows = [
        (title, [_cell(template, groups) for _, template in columns]) for title, groups in _rows(spec, sources.data_dir)
    ]
    heads = [heading for heading, _ in columns]
    if spec.get("transpose"):
        # further columns of plain text, e.g. the paper's: heading, cells
        extra: list[list[str]] = spec.get("extra", [])
        table = [[first, *(title for title, _ in rows), *(column[0] for column in extra)]]
        for number, heading in enumerate(heads):
            table.append([heading, *(cells[number] for _, cells in rows), *(column[1 + number] for column in extra)])
    else:
        table = [[first, *heads], *([title, *cells] for title, cells in rows)]
    return markdown_table(table)


def markdown_table(table: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; the first row heads it."""
    lines = ["| " + " | ".join(cell or " " for cell in row) + " |" for row in table]
    return "\n".join([lines[0], "|" + "---|" * len(table[0]), *lines[1:]])


def _rows(spec: Mapping[str, Any], data_dir: Path) -> list[tuple[str, list[Figures]]]:
    """Return of each row what it is called and its figures: one mapping, or one for each training seed."""
    if "benchmarks" in spec:
        record = _read(data_dir / "results" / "benchmarks.json")
        known = {key: value for row in record["benchmarks"] for key, value in _benchmark(row)}
        return [(title, [{"cell": template, **known}]) for title, template in spec["rows"]]
    if "cards" in spec:
        cards = [(model, _read(data_dir / "checkpoints" / model / "card.json")) for model in spec["cards"]]
        return [(f"`{model}`", [_flat(card, {})]) for model, card in cards]
    record = _read(data_dir / "results" / f"{spec['record']}.json")
    by_model = {row["model"]: row for row in record["rows"]}
    titles: dict[str, list[Any]] = {}
    for row in record["rows"]:
        titles.setdefault(row["title"], []).append(row)
    chosen = spec.get("rows", [[row["title"], row["model"]] for row in record["rows"]])
    return [(title, [_flat(row, row["paper"]) for row in titles[by_model[model]["title"]]]) for title, model in chosen]


def _benchmark(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(str(row["name"]), row["value"]), (f"{row['name']}/ratio", row["ratio"])]


def _flat(card: Mapping[str, Any], paper: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: metric["value"] for name, metric in card["metrics"].items()}
    values |= {f"n.{name}": metric["n"] for name, metric in card["metrics"].items()}
    values |= {f"paper.{name}": value for name, value in paper.items()}
    values |= {f"training.{name}": value for name, value in card.get("training", {}).items()}
    return values


def _cell(template: str, groups: Sequence[Figures]) -> str:
    if template == "{cell}":  # a benchmark's own template
        template = str(groups[0]["cell"])

    def field(match: re.Match[str]) -> str:
        name, form = match[1], match[2]
        values = [value for figures in groups if (value := _value(name, figures)) is not None]
        if not values:
            return MISSING
        low, high = _format(min(values), form), _format(max(values), form)
        return low if low == high else f"{low} to {high}"

    return _FIELD.sub(field, template)


def _value(name: str, figures: Figures) -> Any:
    how, _, pattern = name.partition(" ")
    if how in ("max", "min") and pattern:
        values = [v for key, v in figures.items() if fnmatch.fnmatchcase(key, pattern) and v is not None]
        return {"max": max, "min": min}[how](values) if values else None
    return figures.get(name)


def _format(value: Any, form: str) -> str:
    if form.startswith("%"):
        return f"{100 * value:.{form[1:] or 0}f} %"
    return format(value, form)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path.name} is not there ({error.strerror})") from error


# ---- commands and questions


def _commands(body: str, sources: Sources) -> str:
    return "\n\n".join(f"## `{name}`\n\n```text\n{text.strip()}\n```" for name, text in sources.commands.items())


def _questions(body: str, sources: Sources) -> str:
    from backend.explorer import Explorer

    rows = [["Method", "Answers"]]
    for name, method in inspect.getmembers(Explorer, callable):
        if not name.startswith("_"):
            line = (inspect.getdoc(method) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            rows.append([f"`{name}`", line])
    return markdown_table(rows)


_MAKERS: dict[str, Callable[[str, Sources], str]] = {
    "figures": _figures,
    "commands": _commands,
    "questions": _questions,
}
