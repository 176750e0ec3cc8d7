"""The files of a person's own text: where their documents are, what they say, and what stands beside it.

Every reader yields places: bytes of a file from which the document comes again. What is packed is unpacked into a temporary
file; a row of Parquet becomes a line of JSON in it, `[text, {column: value}]`.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

from backend.data.tags import TagCount, class_name, class_names, readable_path
from backend.data.texts.corpus import END_OF_TEXT
from backend.errors import BadInput

Split = Literal["paragraphs", "lines", "files"]
SPLITS: tuple[str, ...] = get_args(Split)
MAX_UNPACKED = 16 << 30
_JSON = (".jsonl", ".ndjson")
ENDINGS = (".txt", ".text", ".md", *_JSON, ".parquet")
_SURROGATE = re.compile("[\ud800-\udfff]")
Row = tuple[str, Mapping[str, Any]]  # a text, and the other fields of its line or its row


@dataclass(frozen=True)
class Place:
    """Where a document is, and what is there.

    Attributes:
        start, stop: its bytes, the last one left out; of a data set of Hugging Face its rows.
        line: line or row, from 1.
        row: what is there.
    """

    start: int
    stop: int
    line: int
    row: Row


@dataclass(frozen=True)
class Cutting:
    """How text files are cut into documents.

    Attributes:
        split: `paragraphs`: at blank lines; `lines`: every line is a document; `files`: every file is one.
        target: bytes that paragraphs have together, about.
        tags: what becomes a tag, and what has been seen of it.
    """

    split: Split
    target: int
    tags: TagCount


@dataclass(frozen=True)
class TextFile:
    """A file whose bytes hold documents.

    Attributes:
        name: for people: below the folder that was given.
        file: itself; one that was unpacked has no path.
        extract: its bytes and their place for people -> the row they hold.
    """

    name: str
    file: Path | IO[bytes]
    extract: Callable[[bytes, str], Row]

    def row(self, start: int, stop: int, place: str) -> Row:
        """Read a document again."""
        if isinstance(self.file, Path):
            with self.file.open("rb") as file:
                return self.extract(os.pread(file.fileno(), stop - start, start), place)
        return self.extract(os.pread(self.file.fileno(), stop - start, start), place)


def text_files(path: Path) -> list[tuple[Path, str]]:
    """List the files of a file or folder, and how they are called: links and hidden ones are left out.

    Raises:
        BadInput: it is neither.
    """
    if path.is_dir():
        candidates = sorted(
            Path(place, name)
            for place, folders, names in os.walk(path)
            for name in names
            if name.removesuffix(".gz").endswith(ENDINGS) and not name.startswith(".")
            if not any(part.startswith(".") for part in Path(place).relative_to(path).parts)
        )
        files = [file for file in candidates if file.is_file() and not file.is_symlink()]
    elif path.is_file():
        files = [path]
    else:
        raise BadInput(f"{path} is neither a file nor a folder. Give one, or hf: and the name of a data set.")
    return [(file, readable_path(file.relative_to(path).as_posix() if path.is_dir() else file.name)) for file in files]


def open_text_file(path: Path, name: str, cutting: Cutting) -> tuple[TextFile, Iterator[Place]]:
    """Open a file and look for its documents.

    Args:
        path: the file.
        name: how it is called.
        cutting: how it is cut.

    Raises:
        BadInput: it cannot be read; the message names file and line.
    """
    if name.endswith(".parquet"):
        unpacked = tempfile.TemporaryFile()
        return TextFile(name, unpacked, _packed_row), _parquet_places(path, unpacked, cutting.tags)
    file: Path | IO[bytes] = _unpack(path) if name.endswith(".gz") else path
    if name.removesuffix(".gz").endswith(_JSON):
        return TextFile(name, file, _json_row), _json_places(file, path, cutting.tags)
    return TextFile(name, file, _plain_row), _text_places(file, path, cutting)


def _unpack(path: Path) -> IO[bytes]:
    file = tempfile.TemporaryFile()
    try:
        with gzip.open(path) as packed:
            while part := packed.read(1 << 20):
                if file.tell() > MAX_UNPACKED:
                    raise BadInput(f"{path} has more than {MAX_UNPACKED >> 30} GiB in it. Unpack it and give a part.")
                file.write(part)
    except (EOFError, gzip.BadGzipFile) as error:
        raise BadInput(
            f"{path} cannot be unpacked: {error}. It was cut off or is not a gzip file: get it again."
        ) from error
    file.flush()
    return file


def _lines(file: Path | IO[bytes], path: Path, longest: int = -1) -> Iterator[tuple[int, int, bytes]]:
    """Yield first byte, number from 1 and bytes of every line; one that is too long comes in parts, cut at a space."""
    with file.open("rb") if isinstance(file, Path) else os.fdopen(os.dup(file.fileno()), "rb") as lines:
        lines.seek(0)
        at, number = 0, 1
        while piece := lines.readline(longest):
            if len(piece) == longest and not piece.endswith(b"\n"):
                piece = piece[: piece.rfind(b" ") + 1 or _before_last_character(piece)]
                lines.seek(at + len(piece))
            yield at, number, piece
            at += len(piece)
            number += piece.endswith(b"\n")


def _before_last_character(piece: bytes) -> int:
    return next((len(piece) - back for back in range(1, 5) if piece[-back] & 0xC0 != 0x80), len(piece))


def _decode(data: bytes, path: Path, line: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        guess, encoding = (
            ("It looks like UTF-16", "UTF-16")
            if data[:2] in (b"\xff\xfe", b"\xfe\xff")
            else ("It may be Latin-1 or Windows-1252", "WINDOWS-1252")
        )
        raise BadInput(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} (number {error.start + 1} of it) is not UTF-8. {guess}: "
            f"convert the file, e.g. iconv -f {encoding} -t UTF-8 OLD > NEW."
        ) from error


def _plain_row(data: bytes, place: str) -> Row:
    return data.decode().removeprefix("\ufeff").replace("\r\n", "\n").strip("\n"), {}


def _text_places(file: Path | IO[bytes], path: Path, cutting: Cutting) -> Iterator[Place]:
    split, target = cutting.split, cutting.target
    parts: list[str] = []
    begin, begin_line, size = 0, 1, 0

    def gather(stop: int) -> Iterator[Place]:
        row = _plain_row("".join(parts).encode(), "")
        if row[0].strip():
            yield Place(begin, stop, begin_line, row)

    # A text without blank lines is cut at four times the target, so that no single line fills the memory.
    for at, line, piece in _lines(file, path, 4 * target if split == "paragraphs" else -1):
        text = _decode(piece, path, line)
        ends = text.strip() == END_OF_TEXT
        if split == "lines":
            full = True
        else:
            full = split == "paragraphs" and (size >= 2 * target or (size >= target and not text.strip()))
        if ends or full:
            yield from gather(at)
            parts, size = [], 0
        if not ends:
            if not parts:
                begin, begin_line = at, line
            parts.append(text)
            size += len(piece)
    yield from gather(begin + size)


def _json_row(data: bytes, place: str) -> Row:
    """Read the text of a line of JSON, and its other fields; `place` is for the message."""
    try:
        row = json.loads(data.decode().removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{place}: this is not JSON ({error}). Every line must be one JSON object.") from error
    fields = row if isinstance(row, dict) else {}
    strings = [name for name, value in fields.items() if isinstance(value, str)]
    if "text" not in strings and len(strings) != 1:
        raise BadInput(
            f"{place}: this line has no field 'text' that is a string, and {len(strings)} other strings. Give every line a "
            'text, as in {"text": "Once upon a time ..."}.'
        )
    name = "text" if "text" in strings else strings[0]
    text = fields.pop(name)
    if half := _SURROGATE.search(text):
        raise BadInput(f"{place}: {half[0]!r} is half of a surrogate pair and not Unicode text. Delete it.")
    return text, fields


def _json_places(file: Path | IO[bytes], path: Path, tags: TagCount) -> Iterator[Place]:
    for at, line, piece in _lines(file, path):
        if _decode(piece, path, line).strip("\ufeff \t\r\n"):
            row = _json_row(piece, f"{path}, line {line}")
            tags.see(row[1])
            if row[0].strip():
                yield Place(at, at + len(piece), line, row)


def _packed_row(data: bytes, place: str) -> Row:
    text, fields = json.loads(data)
    return text, fields


def _parquet_places(path: Path, unpacked: IO[bytes], tags: TagCount) -> Iterator[Place]:
    """Write the rows one behind the other into a file, and yield where each is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = at = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            strings = [
                field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            ]
            column = text_column(strings, str(path))
            tags.see(name for name in schema.names if name != column)
            more = tags.rules.columns_of(schema, [column], f"{path}: its")
            names = {name: class_names(schema.metadata or {}, name) for name in more}
            for batch in file.iter_batches(1024, columns=[column, *more]):
                values = {name: batch.column(name).to_pylist() for name in more}
                for number, text in enumerate(batch.column(column).to_pylist()):
                    row += 1
                    if not text or not text.strip():
                        continue
                    fields = {name: class_name(values[name][number], names[name]) for name in more}
                    data = json.dumps([text, fields], ensure_ascii=False, default=str).encode()
                    if at + len(data) > MAX_UNPACKED:
                        raise BadInput(f"{path} has more than {MAX_UNPACKED >> 30} GiB of text. Give a part of it.")
                    unpacked.write(data)
                    yield Place(at, at + len(data), row, (text, fields))
                    at += len(data)
    except pa.ArrowException as error:
        raise BadInput(f"{path} cannot be read as Parquet: {error}. Get the file again.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}, near row {row + 1}: a text is not UTF-8 ({error}). Write the file again.") from error
    unpacked.flush()


def text_column(strings: list[str], where: str) -> str:
    """Choose the column of texts: `text`, or the only one that holds strings.

    Raises:
        BadInput: neither is there.
    """
    if "text" not in strings and len(strings) != 1:  # of several any choice would be a guess
        raise BadInput(
            f"{where} has no column 'text'; its columns of strings are {strings or 'none'}. Rename one 'text'."
        )
    return "text" if "text" in strings else strings[0]
