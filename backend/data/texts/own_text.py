"""A person's own text: a file, a folder of files, or a data set of Hugging Face by name.

| kind             | documents                                                                                    |
|------------------|----------------------------------------------------------------------------------------------|
| `.jsonl .ndjson` | one a line: the field `text`, or the only field that is a string                             |
| `.parquet`       | one a row: the column `text`, or the only column of strings                                  |
| `hf:NAME`        | one a row, as in Parquet; NAME is `owner/name[:config[:split]]`, split `train` if not said   |
| any other file   | text, cut as `split` says; a line `<|endoftext|>` ends a document in any case                |

`.gz` behind the name of a text or JSON file unpacks it. Text is UTF-8, with or without a byte order mark; anything else is
refused with file and line. Only where the documents are is kept in memory; what is packed is unpacked into a temporary file.
Documents of the same text are never in both the training and the held-out part.
"""

from __future__ import annotations

import gzip
import importlib
import json
import os
import re
import tempfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

from backend.data.source import DataSource, Option, Settings
from backend.data.texts.corpus import END_OF_TEXT, Document, FiniteCorpus
from backend.data.texts.settings import LENGTH, LENGTH_OPTION, check_settings, items_of, with_length
from backend.errors import BadInput, CatalogError

Split = Literal["paragraphs", "lines", "files"]
SPLITS: tuple[str, ...] = get_args(Split)
HUB = "hf:"
USUAL = 2_000  # bytes of a document made of paragraphs
BYTES_A_TOKEN = 3  # of text, about
MAX_UNPACKED = 16 << 30
_JSON = (".jsonl", ".ndjson")
_KINDS = (".txt", ".text", ".md", *_JSON, ".parquet")
_SURROGATE = re.compile("[\ud800-\udfff]")
_Found = tuple[int, int, int, str]  # first byte, the one behind the last, line or row from 1, text


class OwnText(FiniteCorpus):
    """Documents of a person's own, with no truth but where they are from (tag `source`)."""

    def __init__(self, path: str, split: Split = "paragraphs", usual: int = USUAL) -> None:
        """Look for the documents; reads everything once.

        Args:
            path: file, folder (with all below it; links and hidden files are left out) or `hf:` and a name.
            split: how text files are cut: `paragraphs`: at blank lines; `lines`: every line is a document; `files`: every
                file is one.
            usual: bytes that paragraphs have together, about.

        Whatever cannot be read is a `BadInput` when the first document is asked for; it names file and line.
        """
        self._path, self._split, self._usual = path, split, usual
        self._sources: list[_Bytes | _Rows] = []
        self._places = array("q")  # of each document: source, first byte, the one behind the last, line
        super().__init__(
            self._look,
            self._document,
            f"There is no text in {path}. Give a file with text in it, or a folder with files whose names end in "
            f"{', '.join(_KINDS)} (links are not followed).",
        )

    def _look(self) -> Iterator[str]:
        """Note the places of all documents; yields their texts."""
        path = self._path
        self._sources.clear()
        del self._places[:]
        try:
            for source, places in _hub(path) if path.startswith(HUB) else _files(Path(path), self._split, self._usual):
                self._sources.append(source)
                for start, stop, line, text in places:
                    self._places.extend((len(self._sources) - 1, start, stop, line))
                    yield text
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error}. Mend it, or take that file out of the folder.") from error

    def _document(self, number: int) -> Document:
        source, start, stop, line = self._places[4 * number : 4 * number + 4]
        found = self._sources[source]
        place = f"{found.name}:{line}"
        return Document(found.text(start, stop, place), tags={"source": place})


@dataclass(frozen=True)
class _Bytes:
    """A file whose bytes hold documents: its name for people, the file itself and what turns bytes into a text."""

    name: str
    file: Path | IO[bytes]  # one that was unpacked has no path
    extract: Callable[[bytes, str], str]

    def text(self, start: int, stop: int, place: str) -> str:
        if isinstance(self.file, Path):
            with self.file.open("rb") as file:
                return self.extract(os.pread(file.fileno(), stop - start, start), place)
        return self.extract(os.pread(self.file.fileno(), stop - start, start), place)


@dataclass(frozen=True)
class _Rows:
    """A data set of the package `datasets`."""

    name: str
    rows: Any
    column: str

    def text(self, start: int, stop: int, place: str) -> str:
        return str(self.rows[start][self.column])

    def places(self) -> Iterator[_Found]:
        for first in range(0, len(self.rows), 1000):
            for row, text in enumerate(self.rows[first : first + 1000][self.column], first):
                if text and text.strip():
                    yield row, row + 1, row + 1, text


# -- files -----------------------------------------------------------------------------------------------------------


def _files(path: Path, split: Split, usual: int) -> Iterator[tuple[_Bytes, Iterator[_Found]]]:
    if path.is_dir():
        found = sorted(
            Path(place, name)
            for place, folders, names in os.walk(path)
            for name in names
            if name.removesuffix(".gz").endswith(_KINDS) and not name.startswith(".")
            if not any(part.startswith(".") for part in Path(place).relative_to(path).parts)
        )
        files = [file for file in found if file.is_file() and not file.is_symlink()]
    elif path.is_file():
        files = [path]
    else:
        raise BadInput(f"{path} is neither a file nor a folder. Give one, or hf: and the name of a data set.")
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        yield _open(file, name, split, usual)


def _open(path: Path, name: str, split: Split, usual: int) -> tuple[_Bytes, Iterator[_Found]]:
    if name.endswith(".parquet"):
        unpacked = tempfile.TemporaryFile()
        source = _Bytes(name, unpacked, lambda data, place: data.decode())
        return source, _parquet_places(path, unpacked)
    file: Path | IO[bytes] = _unpack(path) if name.endswith(".gz") else path
    if name.removesuffix(".gz").endswith(_JSON):
        return _Bytes(name, file, _json_text), _json_places(file, path)
    return _Bytes(name, file, _plain_text), _text_places(file, path, split, usual)


def _unpack(path: Path) -> IO[bytes]:
    file = tempfile.TemporaryFile()
    try:
        with gzip.open(path) as packed:
            while part := packed.read(1 << 20):
                if file.tell() > MAX_UNPACKED:
                    raise BadInput(f"{path} has more than {MAX_UNPACKED >> 30} GiB in it. Unpack it and give a part.")
                file.write(part)
    except (EOFError, gzip.BadGzipFile) as error:
        raise BadInput(f"{path} cannot be unpacked: {error}. It was cut off or is no gzip: get it again.") from error
    file.flush()
    return file


def _lines(file: Path | IO[bytes], path: Path, longest: int = -1) -> Iterator[tuple[int, int, bytes]]:
    """First byte, number from 1 and bytes of every line; one that is too long comes in parts, cut at a space."""
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
        known, encoding = (
            ("It looks like UTF-16", "UTF-16")
            if data[:2] in (b"\xff\xfe", b"\xfe\xff")
            else ("It may be Latin-1 or Windows-1252", "WINDOWS-1252")
        )
        raise BadInput(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} (number {error.start + 1} of it) is not UTF-8. {known}: "
            f"convert the file, e.g. iconv -f {encoding} -t UTF-8 OLD > NEW."
        ) from error


def _plain_text(data: bytes, place: str) -> str:
    return data.decode().removeprefix("\ufeff").replace("\r\n", "\n").strip("\n")


def _text_places(file: Path | IO[bytes], path: Path, split: Split, usual: int) -> Iterator[_Found]:
    parts: list[str] = []
    begin, begin_line, size = 0, 1, 0

    def gathered(stop: int) -> Iterator[_Found]:
        text = _plain_text("".join(parts).encode(), "")
        if text.strip():
            yield begin, stop, begin_line, text

    for at, line, piece in _lines(file, path, 4 * usual if split == "paragraphs" else -1):
        text = _decode(piece, path, line)
        ends = text.strip() == END_OF_TEXT
        if split == "lines":
            full = True
        else:
            full = split == "paragraphs" and (size >= 2 * usual or (size >= usual and not text.strip()))
        if ends or full:
            yield from gathered(at)
            parts, size = [], 0
        if not ends:
            if not parts:
                begin, begin_line = at, line
            parts.append(text)
            size += len(piece)
    yield from gathered(begin + size)


def _json_text(data: bytes, place: str) -> str:
    """The text of a line of JSON; `place` is for the message."""
    try:
        row = json.loads(data.decode().removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{place}: this is no JSON ({error}). Every line must be one JSON object.") from error
    fields = {name: value for name, value in row.items() if isinstance(value, str)} if isinstance(row, dict) else {}
    if "text" not in fields and len(fields) != 1:
        raise BadInput(
            f"{place}: no field 'text' that is a string, and {len(fields)} other strings. Give every line one, "
            'as in {"text": "Once upon a time ..."}.'
        )
    text = fields["text"] if "text" in fields else next(iter(fields.values()))
    if half := _SURROGATE.search(text):
        raise BadInput(f"{place}: {half[0]!r} is half of a surrogate pair and no Unicode text. Delete it.")
    return text


def _json_places(file: Path | IO[bytes], path: Path) -> Iterator[_Found]:
    for at, line, piece in _lines(file, path):
        if _decode(piece, path, line).strip("\ufeff \t\r\n"):
            text = _json_text(piece, f"{path}, line {line}")
            if text.strip():
                yield at, at + len(piece), line, text


def _parquet_places(path: Path, unpacked: IO[bytes]) -> Iterator[_Found]:
    """Write the texts one behind the other into a file; yields where each is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = at = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            strings = [
                field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            ]
            column = _column(strings, str(path))
            for batch in file.iter_batches(1024, columns=[column]):
                for text in batch.column(0).to_pylist():
                    row += 1
                    if not text or not text.strip():
                        continue
                    data = text.encode()
                    if at + len(data) > MAX_UNPACKED:
                        raise BadInput(f"{path} has more than {MAX_UNPACKED >> 30} GiB of text. Give a part of it.")
                    unpacked.write(data)
                    yield at, at + len(data), row, text
                    at += len(data)
    except pa.ArrowException as error:
        raise BadInput(f"{path} cannot be read as Parquet: {error}. Get the file again.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}, near row {row + 1}: a text is not UTF-8 ({error}). Write the file again.") from error
    unpacked.flush()


def _column(strings: list[str], where: str) -> str:
    if "text" not in strings and len(strings) != 1:
        raise BadInput(
            f"{where} has no column 'text'; its columns of strings are {strings or 'none'}. Rename one 'text'."
        )
    return "text" if "text" in strings else strings[0]


# -- Hugging Face ----------------------------------------------------------------------------------------------------


def _hub(path: str) -> Iterator[tuple[_Rows, Iterator[_Found]]]:
    name, _, rest = path.removeprefix(HUB).partition(":")
    config, _, split = rest.partition(":")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name, re.ASCII):
        raise BadInput(
            f"{path!r} names no data set. Write hf:owner/name, hf:owner/name:config or hf:owner/name::split."
        )
    try:
        datasets = importlib.import_module("datasets")  # optional, so it is no requirement
    except ImportError as error:
        raise BadInput(
            f"{path} needs the package `datasets`, which is not there. Install it: pip install datasets."
        ) from error
    try:
        rows = datasets.load_dataset(name, config or None, split=split or "train")
    except Exception as error:  # of many libraries
        raise BadInput(
            f"{path} cannot be loaded: {error}. It needs the network, or to have been loaded before on this machine; a "
            "Parquet or text file of it can be given instead."
        ) from error
    strings = [
        column for column, kind in rows.features.items() if getattr(kind, "dtype", "") in ("string", "large_string")
    ]
    source = _Rows(path, rows, _column(strings, path))
    yield source, source.places()


# -- the data set ----------------------------------------------------------------------------------------------------


def _corpus(settings: Settings) -> OwnText:
    check_settings(settings, "path", "split")
    path, split = settings.get("path"), settings.get("split", SPLITS[0])
    if not isinstance(path, str) or not path:
        raise CatalogError(f"The text data set needs a path: a file, a folder or hf: and a name; not {path!r}.")
    if split not in SPLITS:
        raise CatalogError(f"The text data set cannot be split into {split!r}. Known: {', '.join(SPLITS)}.")
    return OwnText(path, split, BYTES_A_TOKEN * settings.get("length", LENGTH))  # so that few texts are cut


def _resolve(given: Settings) -> Settings:
    text = str(given.get("path", ""))
    if not text.strip():
        raise BadInput("Which text? --text names it, and it is empty. Give a file, a folder, or hf:owner/name.")
    if text.startswith(HUB):
        return with_length(given)
    path = Path(text).expanduser().resolve()
    if not path.exists():
        raise BadInput(f"There is no file or folder {text}. Give --text a path, or hf:owner/name.")
    return with_length({**given, "path": str(path)})


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
        LENGTH_OPTION,
    ),
    resolve=_resolve,
)
