"""What a person's own data says about whole items: columns of tables, fields of JSON and parts of file names become tags.

1. A column or field becomes a tag if its values are plain: text, numbers, true or false, dates. `tags` of the data set
   chooses; where it says nothing all plain ones are taken, and values of more than `LONGEST` characters left out.
2. `tags_from` is a regular expression (RE2) with named groups. It is looked for in the path of each file below the folder
   that was given, and every group that takes part becomes a tag of all that is in the file. It wins over columns.
3. A tag whose name the data set itself uses already gets `(yours)` behind its name.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.analysis.patterns import Pattern, compile_pattern
from backend.data.report import Report
from backend.data.source import Option, Settings
from backend.errors import BadInput, BadPattern, CatalogError

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST = 100  # characters of a tag's name, and of its value
SETTINGS = ("tags", "tags_from")
OPTIONS = (
    Option(
        "tags",
        ("--tags",),
        "columns of a table, or fields of JSON lines, that become tags of the items ('': none; all that are plain)",
        "COLUMN,COLUMN",
        several=True,
    ),
    Option(
        "tags_from",
        ("--tags-from",),
        r"parts of file names that become tags: named groups of a pattern (RE2), '(?P<year>\d{4})_(?P<author>.+)\.txt'",
        "PATTERN",
    ),
)
_PLAIN = (str, bool, int, float, decimal.Decimal, datetime.date, datetime.time)


@dataclass(frozen=True)
class TagRules:
    """What becomes a tag.

    Attributes:
        columns: names of columns or fields; None: all that are plain.
        names: what is looked for in the paths of files; None: nothing.
    """

    columns: tuple[str, ...] | None = None
    names: Pattern | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> TagRules:
        """Read `tags` and `tags_from` of a `[dataset]`, both of which may be missing.

        Raises:
            CatalogError: they are something else than names and a pattern.
            BadInput: the pattern cannot be used.
        """
        columns, names = settings.get("tags"), settings.get("tags_from", "")
        if columns is not None and not (isinstance(columns, list) and all(isinstance(c, str) and c for c in columns)):
            raise CatalogError(f"The setting tags = {columns!r} must be a list of names of columns.")
        if not isinstance(names, str):
            raise CatalogError(f"The setting tags_from = {names!r} must be a pattern.")
        return cls(None if columns is None else tuple(dict.fromkeys(columns)), _pattern(names) if names else None)

    @property
    def groups(self) -> list[str]:
        """The tags that paths give, as they stand in the pattern."""
        index = self.names.compiled.groupindex if self.names else {}
        return sorted(index, key=index.__getitem__)

    def of_path(self, path: str) -> dict[str, str] | None:
        """Return the tags of all that is in a file; None where the pattern is not found in its path.

        Args:
            path: below the folder that was given, with `/` between its parts.
        """
        match = self.names.compiled.search(path) if self.names else None
        if match is None:
            return None if self.names else {}
        return {name: _cut(match[name]) for name in self.groups if match[name]}

    def of_row(self, row: Mapping[str, Any], place: str) -> dict[str, str]:
        """Return the tags of a row of a table or a line of JSON.

        Args:
            row: its columns, without those that are the item itself.
            place: where it stands, for the message.

        Raises:
            BadInput: a column that was chosen holds something that is not plain.
        """
        if self.columns is None:
            plain = {name: _text(value) for name, value in row.items() if name.strip() and isinstance(value, _PLAIN)}
            return {
                _cut(name): _cut(value)
                for name, value in plain.items()
                if value and len(name) <= LONGEST and len(value) <= LONGEST  # a long one is a text and not a tag
            }
        chosen = {name: row[name] for name in self.columns if row.get(name) is not None}
        for name, value in chosen.items():
            if not isinstance(value, _PLAIN):
                raise BadInput(
                    f"{place}: {name[:60]!r} holds a {type(value).__name__}, which cannot be a tag. Text, numbers, true or "
                    "false and dates can: choose other columns with --tags."
                )
        texts = {name: _text(value) for name, value in chosen.items()}
        return {_cut(name): _cut(value) for name, value in texts.items() if value}

    def columns_of(self, schema: pa.Schema, item: Sequence[str], where: str) -> list[str]:
        """Return the columns of a table that have to be read for its tags.

        Args:
            schema: of the table.
            item: the columns that are the item itself.
            where: what the message begins with.

        Raises:
            BadInput: a column that was chosen holds something that is not plain.
        """
        # of two columns with one name neither can be asked for: Parquet files may have them
        others = [name for name in dict.fromkeys(schema.names) if name not in item and schema.names.count(name) == 1]
        if self.columns is None:
            return [name for name in others if _is_plain(schema.field(name).type)]
        chosen = [name for name in others if name in self.columns]
        for name in chosen:
            if not _is_plain(schema.field(name).type):
                raise BadInput(
                    f"{where} column {name[:60]!r} holds {schema.field(name).type}, which cannot be a tag. Text, numbers, "
                    "true or false and dates can: choose other columns with --tags."
                )
        return chosen


@dataclass
class TagCount:
    """What has been seen of the files of a data set while it was read: says what became of the rules.

    Attributes:
        rules: what becomes a tag.
        files: path of each file that was read -> whether the pattern was found in it.
        columns: the names of all columns and fields.
    """

    rules: TagRules = TagRules()
    files: dict[str, bool] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)

    @property
    def unmatched(self) -> list[str]:
        """The paths that the pattern was not found in."""
        return [path for path, matches in self.files.items() if not matches]

    def of_path(self, path: str) -> dict[str, str]:
        """Note that a file was read, and return its tags; see `TagRules.of_path`."""
        tags = self.rules.of_path(path)
        self.files[path] = tags is not None
        return tags or {}

    def see(self, columns: Iterable[str]) -> None:
        """Note the columns of a table, or the fields of a line of JSON."""
        self.columns.update(dict.fromkeys(columns))

    def check(self) -> None:
        """Refuse rules that nothing came of, when everything has been read.

        Raises:
            BadInput: no file has a path that the pattern is found in, or a column that was chosen is nowhere.
        """
        if self.rules.names is not None and self.files and not any(self.files.values()):
            number = len(self.files)
            what = f"None of the {number:,} files matches" if number > 1 else "The file does not match"
            raise BadInput(
                f"{what} the pattern of --tags-from, {self.rules.names.text!r}; the first is {next(iter(self.files))!r}. "
                "The pattern is looked for in the path below the folder that was given."
            )
        if missing := [name for name in self.rules.columns or () if name not in self.columns]:
            known = ", ".join(repr(name[:60]) for name in list(self.columns)[:20]) or "none"
            raise BadInput(
                f"None of the tables and lines of JSON has {missing[0][:60]!r}, which --tags names. Beside the item itself "
                f"they have: {known}."
            )

    def reports(self) -> list[Report]:
        """Say how many files the pattern was not found in; nothing where it was found in all."""
        unmatched = self.unmatched
        if not unmatched:
            return []
        more = f" and {len(unmatched) - 1:,} more" if len(unmatched) > 1 else ""
        what = f"{len(unmatched):,} of {len(self.files):,} files do not match --tags-from."
        return [Report(f"{unmatched[0]}{more}", what, f"read without {' and '.join(self.rules.groups)}")]


def merge_tags(base: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """Add a person's tags to those of the data set itself; one whose name is taken gets `(yours)` behind it."""
    return {**base, **{f"{name} (yours)" if name in base else name: value for name, value in tags.items()}}


def readable_path(path: str) -> str:
    """Return a path that people can read and every file format can hold: bytes that are not UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def check_path(path: Path) -> str:
    """Return a path as a catalog file keeps it.

    Raises:
        BadInput: it has bytes that are not UTF-8, which no catalog file can hold.
    """
    text = str(path)
    if readable_path(text) != text:
        raise BadInput(f"The name {readable_path(text)!r} has bytes that are not UTF-8. Rename it: mv OLD NEW.")
    return text


def class_names(notes: Mapping[bytes, bytes], column: str) -> Sequence[str]:
    """Return the names of a column's classes, from what Hugging Face's data sets note in a Parquet file; else none."""
    try:
        names = json.loads(notes[b"huggingface"])["info"]["features"][column]["names"]
        return [str(name) for name in names]
    except (KeyError, TypeError, ValueError):
        return []


def class_name(value: Any, names: Sequence[str]) -> Any:
    """Return the name of a class; a value that is not the number of one stays as it is."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return names[value] if is_number and 0 <= value < len(names) else value


def _pattern(text: str) -> Pattern:
    try:
        pattern = compile_pattern(text)
    except BadPattern as error:
        raise BadInput(f"The pattern of --tags-from, {text[:80]!r}, cannot be used. {error}") from None
    if not pattern.compiled.groupindex:
        raise BadInput(
            f"The pattern of --tags-from, {text[:80]!r}, has no named group, so there is nothing to call its tags. "
            r"Name the parts, as in '(?P<year>\d{4})_(?P<author>.+)\.txt'."
        )
    return pattern


def _text(value: Any) -> str:
    """Write a plain value as text: whole numbers without a point, `true` and `false`; nothing for numbers without value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | decimal.Decimal):
        if not math.isfinite(value):
            return ""
        if abs(float(value)) < 1e15 and value == int(value):  # up to here a float holds every whole number
            return str(int(value))
    return str(value).strip()


def _cut(text: str) -> str:
    """Return text of `LONGEST` characters at most that can be written as UTF-8: halves of characters become question marks."""
    return text[:LONGEST].encode("utf-8", "replace").decode("utf-8")


def _is_plain(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    tests = "string large_string boolean integer floating decimal date timestamp time".split()
    return any(getattr(types, f"is_{test}")(kind) for test in tests)
