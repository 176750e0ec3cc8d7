"""Labels, lists and notes of people. One SQLite file beside the builds, so that a rebuild loses none of them.

Several processes and threads write at once: write-ahead log, one short immediate transaction per change, and a wait of
up to 15 seconds for the others. A connection lives for one call. Texts are stored exactly as given; whoever shows them
escapes.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.answers.people import CodeList, Label, MergeReport, Note
from backend.errors import BadInput, StoreError
from backend.store import merging
from backend.store.limits import checked
from backend.types import CodeRef

WAIT_SECONDS = 15.0
_TABLES = """
CREATE TABLE IF NOT EXISTS labels (
    uid TEXT PRIMARY KEY, model TEXT NOT NULL, site TEXT NOT NULL, code INTEGER NOT NULL, text TEXT NOT NULL,
    author TEXT NOT NULL, pattern TEXT NOT NULL, precision REAL, recall REAL, support INTEGER,
    build TEXT NOT NULL, created TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS labels_by_code ON labels (model, site, code, created);
CREATE TABLE IF NOT EXISTS notes (
    uid TEXT PRIMARY KEY, model TEXT NOT NULL, site TEXT NOT NULL, code INTEGER NOT NULL, text TEXT NOT NULL,
    author TEXT NOT NULL, build TEXT NOT NULL, created TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_by_code ON notes (model, site, code, created);
CREATE TABLE IF NOT EXISTS lists (name TEXT PRIMARY KEY, author TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS list_codes (
    name TEXT NOT NULL, model TEXT NOT NULL, site TEXT NOT NULL, code INTEGER NOT NULL, place REAL NOT NULL,
    author TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (name, model, site, code)
);
"""


class People:
    """Reads and writes the file; safe to share between threads, and between processes with the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # ---- labels

    def add_label(
        self,
        ref: CodeRef,
        text: str,
        author: str = "",
        *,
        build: str = "",
        pattern: str = "",
        precision: float | None = None,
        recall: float | None = None,
        support: int | None = None,
    ) -> Label:
        """Give a code a label; older ones stay. Raises `BadInput` where a text is empty or too long."""
        label = Label(
            uid=uuid.uuid4().hex,
            ref=ref,
            text=checked("label", text, required=True),
            author=checked("author", author),
            pattern=checked("pattern", pattern, strip=False),
            precision=precision,
            recall=recall,
            support=support,
            build=checked("build", build),
            created=_now(),
        )
        with self._writing() as db:
            merging.insert_label(db, label_row(label))
        return label

    def labels(self, ref: CodeRef | None = None, *, model: str | None = None, limit: int = 10_000) -> list[Label]:
        """Return labels of a code, of a model, or all; newest first."""
        where, values = _where(ref, model)
        rows = self._read(f"SELECT * FROM labels {where} ORDER BY created DESC, uid LIMIT ?", [*values, limit])
        return [
            Label(**{k: row[k] for k in row.keys() if k not in ("model", "site", "code")}, ref=_ref(row))
            for row in rows
        ]

    def label(self, ref: CodeRef) -> str:
        """Return the newest label of a code; empty where there is none."""
        newest = self.labels(ref, limit=1)
        return newest[0].text if newest else ""

    def newest_labels(self, model: str) -> dict[CodeRef, str]:
        """Return the newest label of every labelled code of a model: what code chips show."""
        return {label.ref: label.text for label in reversed(self.labels(model=model))}

    def remove_label(self, uid: str) -> bool:
        """Delete one label; False where it was gone already."""
        with self._writing() as db:
            return db.execute("DELETE FROM labels WHERE uid = ?", [uid]).rowcount > 0

    # ---- notes

    def add_note(self, ref: CodeRef, text: str, author: str = "", *, build: str = "") -> Note:
        """Leave a note on a code (markdown, kept raw). Raises `BadInput` where it is empty or too long."""
        note = Note(
            uid=uuid.uuid4().hex,
            ref=ref,
            text=checked("note", text, required=True, strip=False),
            author=checked("author", author),
            build=checked("build", build),
            created=_now(),
        )
        with self._writing() as db:
            merging.insert_note(db, note_row(note))
        return note

    def notes(self, ref: CodeRef | None = None, *, model: str | None = None, limit: int = 10_000) -> list[Note]:
        """Return notes on a code, a model, or all; newest first."""
        where, values = _where(ref, model)
        rows = self._read(f"SELECT * FROM notes {where} ORDER BY created DESC, uid LIMIT ?", [*values, limit])
        return [
            Note(**{k: row[k] for k in row.keys() if k not in ("model", "site", "code")}, ref=_ref(row)) for row in rows
        ]

    def remove_note(self, uid: str) -> bool:
        """Delete one note; False where it was gone already."""
        with self._writing() as db:
            return db.execute("DELETE FROM notes WHERE uid = ?", [uid]).rowcount > 0

    # ---- lists

    def lists(self, ref: CodeRef | None = None) -> list[CodeList]:
        """Return all lists by name, each with its codes in order; with `ref` only those that hold it."""
        refs: dict[str, list[CodeRef]] = {}
        heads, rows = self._read_together(
            "SELECT * FROM lists ORDER BY name", "SELECT * FROM list_codes ORDER BY name, place, created"
        )
        for row in rows:
            refs.setdefault(row["name"], []).append(_ref(row))
        lists = [CodeList(h["name"], h["author"], h["created"], tuple(refs.get(h["name"], ()))) for h in heads]
        return [entry for entry in lists if ref is None or ref in entry.refs]

    def add_to_list(self, name: str, ref: CodeRef, author: str = "") -> bool:
        """Put a code at the end of a list, which is made if it is new; False where the code was in it already."""
        name, author = checked("list", name, required=True), checked("author", author)
        with self._writing() as db:
            return merging.append_to_list(db, name, ref, author, _now())

    def remove_from_list(self, name: str, ref: CodeRef) -> bool:
        """Take a code out of a list; False where it was not in it."""
        with self._writing() as db:
            return (
                db.execute(
                    "DELETE FROM list_codes WHERE name = ? AND model = ? AND site = ? AND code = ?",
                    [name, ref.model, ref.site, ref.code],
                ).rowcount
                > 0
            )

    def move_in_list(self, name: str, ref: CodeRef, index: int) -> None:
        """Move a code of a list to place `index`, from 0. Raises `BadInput` if it is not in the list."""
        with self._writing() as db:
            rows = db.execute("SELECT * FROM list_codes WHERE name = ? ORDER BY place, created", [name]).fetchall()
            refs = [_ref(row) for row in rows]
            if ref not in refs:
                raise BadInput(
                    f"{ref} is not in the list {name[:100]!r}. Reload the list; somebody may have taken it out."
                )
            refs.remove(ref)
            refs.insert(max(0, index), ref)
            for place, entry in enumerate(refs):
                db.execute(
                    "UPDATE list_codes SET place = ? WHERE name = ? AND model = ? AND site = ? AND code = ?",
                    [place, name, entry.model, entry.site, entry.code],
                )

    def remove_list(self, name: str) -> bool:
        """Delete a list (not its codes' labels and notes); False where it was gone already."""
        with self._writing() as db:
            db.execute("DELETE FROM list_codes WHERE name = ?", [name])
            return db.execute("DELETE FROM lists WHERE name = ?", [name]).rowcount > 0

    # ---- export and import

    def export(self) -> dict[str, Any]:
        """Return everything, as plain JSON values; `merge` reads it again."""
        return {
            "format": merging.FORMAT,
            "labels": [label_row(label) for label in self.labels(limit=-1)],
            "notes": [note_row(note) for note in self.notes(limit=-1)],
            "lists": [{**asdict(entry), "refs": [str(ref) for ref in entry.refs]} for entry in self.lists()],
        }

    def merge(self, document: Mapping[str, Any]) -> MergeReport:
        """Add what an export holds and this file lacks, all of it or, on an error, nothing; never overwrites.

        An entry that is here already is skipped. One that is here with other content stays as it is here and is named
        in the report. A list of the same name gets the codes that it lacks, at its end.

        Raises:
            BadInput: not an export, or an entry breaks the limits; says which.
        """
        plan = merging.read_document(document)
        with self._writing() as db:
            return merging.merge(db, plan, _now())

    # ---- the file

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Open one immediate transaction: committed at the end of the block, rolled back on an error."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = _connect(f"{self.path.resolve().as_uri()}?mode=rwc")
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        try:
            _prepare(db)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            db.close()  # rolls back what was not committed

    def _read(self, sql: str, values: list[Any]) -> list[sqlite3.Row]:
        with self._reading() as db:
            return [] if db is None else db.execute(sql, values).fetchall()

    def _read_together(self, *queries: str) -> list[list[sqlite3.Row]]:
        with self._reading() as db:
            if db is None:
                return [[] for _ in queries]
            db.execute("BEGIN")  # one state of the file for all of them
            return [db.execute(sql).fetchall() for sql in queries]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Open a connection, or yield None where nobody has written anything yet."""
        if not self.path.exists():
            yield None
            return
        uri = self.path.resolve().as_uri()
        db = None
        try:
            try:
                db = _connect(f"{uri}?mode=rw")
                prepared = _has_tables(db)
            except sqlite3.OperationalError:  # a folder that cannot be written to: no log can be kept beside the file
                db = _connect(f"{uri}?mode=ro&immutable=1")
                prepared = _has_tables(db)
            yield db if prepared else None
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            if db is not None:
                db.close()

    def _unusable(self, error: Exception) -> StoreError:
        if "locked" in str(error):
            hint = f"Others have been writing for more than {WAIT_SECONDS:g} seconds; try again."
        else:
            hint = (
                "Check that the disk has room and the folder may be written to; if the file is damaged, move it away."
            )
        return StoreError(f"Labels, lists and notes in {self.path} cannot be used: {error}. {hint}")


def label_row(label: Label) -> dict[str, Any]:
    """Return a label as plain JSON values."""
    return {**asdict(label), "ref": str(label.ref)}


def note_row(note: Note) -> dict[str, Any]:
    """Return a note as plain JSON values."""
    return {**asdict(note), "ref": str(note.ref)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _ref(row: sqlite3.Row) -> CodeRef:
    return CodeRef(row["model"], row["site"], row["code"])


def _where(ref: CodeRef | None, model: str | None) -> tuple[str, list[Any]]:
    if ref is not None:
        return "WHERE model = ? AND site = ? AND code = ?", [ref.model, ref.site, ref.code]
    if model is not None:
        return "WHERE model = ?", [model]
    return "", []


def _connect(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def _has_tables(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'list_codes'").fetchone()[0] > 0


def _prepare(db: sqlite3.Connection) -> None:
    """Switch a new file to the write-ahead log and make the tables; the switch does not wait, so it is tried again."""
    started = time.monotonic()
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() - started > WAIT_SECONDS:
                raise
            time.sleep(0.02)
    db.execute("PRAGMA synchronous = NORMAL")
    if not _has_tables(db):
        db.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
