"""A person's own images: a folder, a file or a Parquet table.

What people have is broken, huge, sideways or not an image at all: each file becomes a picture, or a line of report, never
an error of the whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from backend.analysis.seeds import HELD_OUT_SEED
from backend.data.images.cells import PIXEL_FIELDS, pixel_labels
from backend.data.images.files import ENDINGS, decode, fit
from backend.data.images.settings import read_settings, to_float
from backend.data.images.tables import TABLE_ENDING, Columns, table_rows
from backend.data.report import Report
from backend.data.source import DataSource, Option, Settings
from backend.data.tags import OPTIONS, SETTINGS, TagCount, TagRules, check_path, merge_tags, readable_path
from backend.errors import BadInput, CatalogError
from backend.types import Item

MAX_IMAGES = 20_000  # of one data set, kept in memory at its size


@dataclass(frozen=True)
class OwnPicture:
    """One picture that was read.

    Attributes:
        path: where from, as in `Report`.
        pixels: uint8 `[height, width, 3]`.
        label: its class where its file's name, the table or a subfolder's name tells; else empty.
        tags: what else is true of it.
    """

    path: str
    pixels: np.ndarray
    label: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Candidate:
    """One picture before it is decoded."""

    path: str
    source: bytes | Path
    file: str  # as `path`, without a row
    label: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


# -- finding -------------------------------------------------------------------------------------------------------


def _find(paths: Sequence[Path], columns: Columns) -> Iterator[_Candidate | Report]:
    """Yield all below the paths that may be a picture, in the order of their names, and reports on what is not."""
    for path in paths:
        for file in _files_of(path):
            if isinstance(file, Report):
                yield file
                continue
            name = file.relative_to(path) if path.is_dir() else Path(file.name)
            above = readable_path(name.parts[0]) if len(name.parts) > 1 else ""
            yield from _find_in_file(file, readable_path(name.as_posix()), above, columns)


def _files_of(path: Path) -> Iterator[Path | Report]:
    if path.is_dir():
        yield from _files_below(path)
    elif path.is_file():
        yield path
    else:
        yield Report(readable_path(str(path)), "It is not a file or folder.", "skipped")


def _files_below(folder: Path) -> Iterator[Path | Report]:
    """Yield the files below a folder; links that lead out of it, and what is hidden, are not followed."""
    inside = folder.resolve()
    for place, names, files in os.walk(folder, onerror=None):
        names[:] = sorted(name for name in names if not name.startswith("."))  # in place: os.walk goes by this list
        for name in [*names]:
            if (Path(place) / name).is_symlink():  # os.walk does not enter it
                yield Report(
                    (Path(place) / name).relative_to(folder).as_posix(), "It is a link to a folder.", "skipped"
                )
        for name in sorted(name for name in files if not name.startswith(".")):
            file = Path(place) / name
            shown = file.relative_to(folder).as_posix()
            if not file.is_file():  # also a link that leads nowhere, or round in a circle
                yield Report(shown, "It is not an ordinary file.", "skipped")
            elif not file.resolve().is_relative_to(inside):
                yield Report(shown, "It is a link that leads out of the folder.", "skipped")
            else:
                yield file


def _find_in_file(file: Path, shown: str, above: str, columns: Columns) -> Iterator[_Candidate | Report]:
    """Yield the pictures of a file; `above`, the subfolder that it is in, is their class where nothing else tells."""
    of_name = dict(columns.tags.rules.of_path(shown) or {})
    label = of_name.pop("class", "")
    if file.suffix.lower() != TABLE_ENDING:
        yield _Candidate(shown, file, shown, label or above, of_name)
        return
    try:
        for row in table_rows(file, columns):
            place = f"{shown} row {row.number}"
            if row.picture is None:
                yield Report(place, "Its picture is empty.", "skipped")
                continue
            of_row = columns.tags.rules.of_row(row.fields, place)
            tags = {**{name: value for name, value in of_row.items() if name != "class"}, **of_name}
            yield _Candidate(place, row.picture, shown, label or row.label or of_row.get("class", ""), tags)
    except BadInput as error:
        yield Report(shown, str(error), "skipped")


def _read(paths: Sequence[Path], columns: Columns) -> Iterator[OwnPicture | Report]:
    """Decode one picture after another; a file that cannot be read becomes a report."""
    for candidate in _find(paths, columns):
        if isinstance(candidate, Report):
            yield candidate
            continue
        try:
            pixels, note = decode(candidate.source)
        except BadInput as error:
            strange = isinstance(candidate.source, Path) and candidate.source.suffix.lower() not in ENDINGS
            yield Report(candidate.path, "It is not an image." if strange else str(error), "skipped")
            continue
        if note:
            yield Report(candidate.path, note, "read the first one")
        columns.tags.of_path(candidate.file)
        yield OwnPicture(candidate.path, pixels, candidate.label, candidate.tags)


def read_images(paths: Sequence[Path], limit: int = 1_000) -> tuple[list[OwnPicture], list[Report]]:
    """Read pictures at their full size; never fails for what is in the files.

    Args:
        paths: images, Parquet files, and folders, searched through with all below them.
        limit: how many pictures at most; what lies beyond is reported as one.

    Returns:
        The pictures, and reports on all files that were skipped or read in part.
    """
    pictures: list[OwnPicture] = []
    reports: list[Report] = []
    for entry in _read(paths, Columns(tags=TagCount(TagRules(columns=())))):
        if isinstance(entry, Report):
            reports.append(entry)
        elif len(pictures) < limit:
            pictures.append(entry)
        else:
            reports.append(
                Report(entry.path, f"It comes after the first {limit:,} pictures.", "skipped, with all behind it")
            )
            break
    return pictures, reports


# -- the data set --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnImages:
    """The data set `folder`: a person's images, each scaled to one size, in the order of their names.

    Attributes:
        path: a folder, an image or a Parquet file.
        size: pixels a side.
        whole: show all of a picture between white borders; else its middle square.
        held_out: the share that only seeds from `HELD_OUT_SEED` on show; 0: every seed shows all.
        image_column, label_column: of Parquet files: `{bytes, path}` or bytes, and the class, which may be missing.
        rules: what becomes a tag.
    """

    path: Path
    size: int = 64
    whole: bool = False
    held_out: float = 0.0
    image_column: str = Columns.image
    label_column: str = Columns.label
    rules: TagRules = TagRules()

    fields = PIXEL_FIELDS

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> OwnImages:
        """Read the `[dataset]` of a catalog file: the attributes, `tags`, `tags_from`; `path` may start from the folder."""
        values = read_settings(
            settings,
            path="",
            size=cls.size,
            whole=cls.whole,
            held_out=cls.held_out,
            image_column=cls.image_column,
            label_column=cls.label_column,
            tags=[],
            tags_from="",
        )
        if not values["path"]:
            raise CatalogError("The images of a folder need a path: to a folder, an image or a Parquet file.")
        if not 0 <= values["held_out"] < 1:
            raise CatalogError(f"The share held_out = {values['held_out']} is out of range; give 0 to below 1.")
        attributes = {key: value for key, value in values.items() if key not in SETTINGS}
        return cls(**{**attributes, "path": folder / values["path"]}, rules=TagRules.from_settings(settings))

    @cached_property
    def _read(self) -> tuple[np.ndarray, list[dict[str, str]], list[Report]]:
        """uint8 `[n, 3, size, size]` of all images, their tags, and reports."""
        pixels: list[np.ndarray] = []
        tags: list[dict[str, str]] = []
        reports: list[Report] = []
        count = TagCount(self.rules)
        for entry in _read([self.path], Columns(self.image_column, self.label_column, count)):
            if isinstance(entry, Report):
                reports.append(entry)
            elif len(pixels) < MAX_IMAGES:
                pixels.append(fit(entry.pixels, self.size, self.whole).transpose(2, 0, 1))
                place = {"file": entry.path, **({"class": entry.label} if entry.label else {})}
                tags.append(merge_tags(place, entry.tags))
            else:
                text = f"It comes after the first {MAX_IMAGES:,} pictures."
                reports.append(Report(entry.path, text, "skipped, with all behind it"))
                break
        if not pixels:
            reasons = " ".join(f"{report.path}: {report.what}" for report in reports[:3])
            raise BadInput(f"No image could be read from {self.path}. {reasons or 'The folder is empty.'}")
        count.check()
        return np.stack(pixels), tags, [*count.reports(), *reports]

    @property
    def reports(self) -> list[Report]:
        """What a person should know about files that were skipped or read in part."""
        return self._read[2]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of its images, by name."""
        return tuple(sorted({tags["class"] for tags in self._read[1] if "class" in tags}))

    def count(self, seed: int) -> int:
        """Count the images that this seed shows."""
        return len(self._rows(seed))

    def pixels(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Return the images' pixels, float32 `[n, 3, size, size]` in [-1, 1]."""
        return to_float(self._read[0][self._shown(start, stop, seed)])

    def items(self, start: int, stop: int, seed: int, grid: tuple[int, int]) -> list[Item]:
        """Return the images, tagged with their file and their class."""
        rows = self._shown(start, stop, seed)
        pixels, tags = self._read[0][rows], self._read[1]
        labels, images = pixel_labels(pixels, grid), to_float(pixels)
        return [Item(start + i, grid, images[i], labels=labels[i], tags=tags[row]) for i, row in enumerate(rows)]

    def _shown(self, start: int, stop: int, seed: int) -> np.ndarray:
        """Return which images these are, int64 `[n]`; after the last it begins again."""
        rows = self._rows(seed)
        return rows[np.arange(start, max(stop, start)) % len(rows)]

    def _rows(self, seed: int) -> np.ndarray:
        """Return the images that this seed shows, int64; at least one."""
        total = len(self._read[0])
        held_out = min(round(total * self.held_out), total - 1)
        order = np.random.default_rng(0).permutation(total)  # one for all seeds: held-out images stay held out
        if not held_out:
            return np.arange(total)
        return np.sort(order[-held_out:] if seed >= HELD_OUT_SEED else order[:-held_out])


def _resolve(settings: Settings) -> Settings:
    path = Path(str(settings.get("path") or "")).expanduser()
    if not settings.get("path") or not path.exists():
        raise BadInput(f"There is no file or folder {path}. Give --images a folder, a picture or a Parquet file.")
    TagRules.from_settings(settings)
    return {**settings, "path": check_path(path.resolve())}


def _notes(settings: Settings) -> list[Report]:
    """Look for the pattern of `tags_from` in the names of all files that may be pictures."""
    path = Path(settings["path"])
    count = TagCount(TagRules(names=TagRules.from_settings(settings).names))
    for file in _files_of(path):
        if isinstance(file, Path) and file.suffix.lower() in (*ENDINGS, TABLE_ENDING):
            count.of_path(readable_path(file.relative_to(path).as_posix() if path.is_dir() else file.name))
    count.check()
    return count.reports()


SOURCE = DataSource(
    name="folder",
    item="image",
    about="your own pictures: --images FOLDER",
    title="Pictures of {path}",
    open=OwnImages.from_settings,
    options=(
        Option("path", ("--images",), "your own: a folder, a picture or a Parquet file", "FOLDER", required=True),
        *OPTIONS,
    ),
    resolve=_resolve,
    notes=_notes,
)
