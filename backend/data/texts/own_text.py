"""A person's own text: a file, a folder of files, or a data set of Hugging Face by name.

| kind             | documents                                                                                    |
|------------------|----------------------------------------------------------------------------------------------|
| `.jsonl .ndjson` | one a line: the field `text`, or the only field that is a string                             |
| `.parquet`       | one a row: the column `text`, or the only column of strings                                  |
| `hf:NAME`        | one a row, as in Parquet; NAME is `owner/name[:config[:split]]`, split `train` if not said   |
| any other file   | text, cut as `split` says; a line `<|endoftext|>` ends a document in any case                |

`.gz` behind the name of a text or JSON file unpacks it. Text is UTF-8, with or without a byte order mark; anything else is
refused with file and line. Only where the documents are is kept in memory; what is packed is unpacked into a temporary file.
Documents of the same text are never in both the training and the held-out part. What stands beside a text, and parts of its
file's name, become its tags (`backend.data.tags`).
"""

from __future__ import annotations

import importlib
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.data import tags
from backend.data.report import Report
from backend.data.source import DataSource, Option, Settings
from backend.data.tags import TagCount, TagRules, class_name, merge_tags
from backend.data.texts.corpus import Document, FiniteCorpus
from backend.data.texts.own_files import (
    ENDINGS,
    SPLITS,
    Cutting,
    Place,
    Row,
    Split,
    TextFile,
    open_text_file,
    text_column,
    text_files,
)
from backend.data.texts.settings import LENGTH, LENGTH_OPTION, check_settings, items_of, with_length
from backend.errors import BadInput, CatalogError

HUB = "hf:"
DOCUMENT_BYTES = 2_000  # of a document made of paragraphs
BYTES_A_TOKEN = 3  # of text, about
_PLAIN_DTYPES = re.compile(r"(large_)?string|bool|u?int\d+|float\d+|decimal.*|date\d+|time.*")


class OwnText(FiniteCorpus):
    """Documents of a person's own: tagged with where they are from (`source`) and what the person's data say of them."""

    def __init__(
        self, path: str, split: Split = "paragraphs", target: int = DOCUMENT_BYTES, rules: TagRules | None = None
    ) -> None:
        """Look for the documents; reads everything once.

        Args:
            path: file, folder (with all below it; links and hidden files are left out) or `hf:` and a name.
            split: how text files are cut: `paragraphs`: at blank lines; `lines`: every line is a document; `files`: every
                file is one.
            target: bytes that paragraphs have together, about.
            rules: what becomes a tag; by default all plain columns and fields.

        Whatever cannot be read is a `BadInput` when the first document is asked for; it names file and line.
        """
        self._path, self._split, self._target = path, split, target
        self._tags = TagCount(rules or TagRules())
        self._sources: list[TextFile | _Rows] = []
        self._tags_of_source: list[dict[str, str]] = []
        self._places = array("q")  # of each document: source, first byte, the one behind the last, line
        super().__init__(
            self._look,
            self._document,
            f"There is no text in {path}. Give a file with text in it, or a folder with files whose names end in "
            f"{', '.join(ENDINGS)} (links are not followed).",
        )

    @property
    def reports(self) -> list[Report]:
        """What a person should know about their files; reads everything if nothing has been read yet."""
        self.count(0)
        return self._tags.reports()

    def _look(self) -> Iterator[str]:
        """Note the places of all documents, and yield their texts, by which they are split into two parts."""
        path = self._path
        self._sources.clear()
        self._tags_of_source.clear()
        del self._places[:]
        self._tags = TagCount(self._rules)
        try:
            for source, places in _hub(path, self._tags) if path.startswith(HUB) else self._files():
                self._sources.append(source)
                for place in places:
                    if self._rules.columns:  # what was chosen is refused now, not in the middle of training
                        self._rules.of_row(place.row[1], f"{source.name}:{place.line}")
                    self._places.extend((len(self._sources) - 1, place.start, place.stop, place.line))
                    yield place.row[0]
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error}. Mend it, or take that file out of the folder.") from error
        if self._places:
            self._tags.check()

    def _files(self) -> Iterator[tuple[TextFile, Iterator[Place]]]:
        cutting = Cutting(self._split, self._target, self._tags)
        for file, name in text_files(Path(self._path)):
            self._tags_of_source.append(self._tags.of_path(name))
            yield open_text_file(file, name, cutting)

    def _document(self, number: int) -> Document:
        index, start, stop, line = self._places[4 * number : 4 * number + 4]
        source = self._sources[index]
        place = f"{source.name}:{line}"
        text, fields = source.row(start, stop, place)
        of_name = self._tags_of_source[index] if self._tags_of_source else {}
        of_row = self._rules.of_row(fields, place)
        return Document(text, tags=merge_tags({"source": place}, {**of_row, **of_name}))  # file names win over columns

    @property
    def _rules(self) -> TagRules:
        return self._tags.rules


# -- Hugging Face ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """A data set of the package `datasets`: its rows, the column of texts, and those of tags with their classes' names."""

    name: str
    rows: Any
    column: str
    tags: dict[str, list[str]]

    def row(self, start: int, stop: int, place: str) -> Row:
        """Read a document again."""
        row = self.rows[start]
        fields = {name: class_name(row.get(name), classes) for name, classes in self.tags.items()}
        return str(row[self.column]), fields

    def places(self) -> Iterator[Place]:
        for first in range(0, len(self.rows), 1000):
            for row, text in enumerate(self.rows[first : first + 1000][self.column], first):
                if text and text.strip():
                    yield Place(row, row + 1, row + 1, (text, {}))


def _hub(path: str, count: TagCount) -> Iterator[tuple[_Rows, Iterator[Place]]]:
    name, _, rest = path.removeprefix(HUB).partition(":")
    config, _, split = rest.partition(":")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name, re.ASCII):
        raise BadInput(
            f"{path!r} is not the name of a data set. Write hf:owner/name, hf:owner/name:config or hf:owner/name::split."
        )
    if count.rules.names is not None:
        raise BadInput(
            f"The rows of {path} do not come from files of your own: leave --tags-from out, or choose --tags."
        )
    try:
        datasets = importlib.import_module("datasets")  # optional, so not in requirements.txt
    except ImportError as error:
        raise BadInput(
            f"{path} needs the package `datasets`, which is not installed. Install it: pip install datasets."
        ) from error
    try:
        rows = datasets.load_dataset(name, config or None, split=split or "train")
    except Exception as error:  # of many libraries
        raise BadInput(
            f"{path} cannot be loaded: {error}. It needs the network, or to have been loaded before on this machine; a "
            "Parquet or text file of it can be given instead."
        ) from error
    kinds = {column: str(getattr(kind, "dtype", "")) for column, kind in rows.features.items()}
    column = text_column([name for name, kind in kinds.items() if kind in ("string", "large_string")], path)
    others = [name for name in kinds if name != column]
    count.see(others)
    chosen = others if count.rules.columns is None else [name for name in others if name in count.rules.columns]
    plain = {
        name: list(getattr(rows.features[name], "names", None) or [])
        for name in chosen
        if _PLAIN_DTYPES.fullmatch(kinds[name])
    }
    if count.rules.columns is not None and (strange := [name for name in chosen if name not in plain]):
        raise BadInput(f"{path}: the column {strange[0]!r} is not plain, so it cannot be a tag. Choose other --tags.")
    source = _Rows(path, rows, column, plain)
    yield source, source.places()


# -- the data set ----------------------------------------------------------------------------------------------------


def _corpus(settings: Settings) -> OwnText:
    check_settings(settings, "path", "split", *tags.SETTINGS)
    path, split = settings.get("path"), settings.get("split", SPLITS[0])
    if not isinstance(path, str) or not path:
        raise CatalogError(f"The text data set needs a path: a file, a folder or hf: and a name; not {path!r}.")
    if split not in SPLITS:
        raise CatalogError(f"The text data set cannot be split into {split!r}. Known: {', '.join(SPLITS)}.")
    target = BYTES_A_TOKEN * settings.get("length", LENGTH)  # so that few texts are cut
    return OwnText(path, split, target, TagRules.from_settings(settings))


def _resolve(settings: Settings) -> Settings:
    text = str(settings.get("path", ""))
    if not text.strip():
        raise BadInput("Which text? --text names it, and it is empty. Give a file, a folder, or hf:owner/name.")
    TagRules.from_settings(settings)
    if text.startswith(HUB):
        return with_length(settings)
    path = Path(text).expanduser().resolve()
    if not path.exists():
        raise BadInput(f"There is no file or folder {text}. Give --text a path, or hf:owner/name.")
    return with_length({**settings, "path": tags.check_path(path)})


def _notes(settings: Settings) -> list[Report]:
    if settings["path"].startswith(HUB):
        return []
    count = TagCount(TagRules(names=TagRules.from_settings(settings).names))
    for _, name in text_files(Path(settings["path"])):
        count.of_path(name)
    count.check()
    return count.reports()


SOURCE = DataSource(
    name="text",
    item="text",
    about="a text of your own: --text FILE, DIR or hf:owner/name",
    title="Text of {path}",
    open=items_of(_corpus),
    corpus=_corpus,
    options=(
        Option(
            "path",
            ("--text",),
            "txt, jsonl or parquet files, or a Hugging Face data set such as hf:roneneldan/TinyStories",
            "FILE|DIR|hf:NAME",
            required=True,
        ),
        Option("split", ("--split",), "what makes a document of a txt file (paragraphs)", choices=SPLITS),
        *tags.OPTIONS,
        LENGTH_OPTION,
    ),
    resolve=_resolve,
    notes=_notes,
)
