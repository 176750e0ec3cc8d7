"""How an export of labels, lists and notes is read and merged into the file of `backend.store.people`.

1. `read_document` checks the whole document before anything is written.
2. `merge` inserts what is missing, inside the caller's transaction. Nothing that is there is changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.answers.people import MergeReport
from backend.errors import BadInput
from backend.store.limits import checked
from backend.types import CodeRef

FORMAT = "codescope-people-1"
MAX_ENTRIES = 200_000
_LABEL = ("uid", "ref", "text", "author", "pattern", "precision", "recall", "support", "build", "created")
_NOTE = ("uid", "ref", "text", "author", "build", "created")
_LIST = ("name", "author", "created", "refs")


@dataclass(frozen=True)
class Document:
    """A checked export."""

    labels: list[dict[str, Any]]
    notes: list[dict[str, Any]]
    lists: list[dict[str, Any]]


def read_document(document: Mapping[str, Any]) -> Document:
    """Check an export. Raises `BadInput`, naming the entry that is wrong."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise BadInput(
            f'This is not an export of labels, lists and notes. Give a JSON document with "format": "{FORMAT}".'
        )
    parts = {}
    for part, fields in (("labels", _LABEL), ("notes", _NOTE), ("lists", _LIST)):
        entries = document.get(part, [])
        if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
            raise BadInput(f"{part!r} must be a list of at most {MAX_ENTRIES:,} entries.")
        parts[part] = [_check_entry(f"{part}[{i}]", entry, fields) for i, entry in enumerate(entries)]
    return Document(**parts)


def merge(db: sqlite3.Connection, document: Document, now: str) -> MergeReport:
    """Insert what is missing; the caller's transaction makes it all or nothing."""
    added = {"labels": 0, "notes": 0}
    known, conflicts = 0, []
    for table, entries, insert in (
        ("labels", document.labels, insert_label),
        ("notes", document.notes, insert_note),
    ):
        for entry in entries:
            here = db.execute(f"SELECT * FROM {table} WHERE uid = ?", [entry["uid"]]).fetchone()
            if here is None:
                insert(db, entry)
                added[table] += 1
            elif _is_same(here, entry):
                known += 1
            else:
                conflicts.append(f"{table[:-1]} {entry['uid']} on {entry['ref']}: kept {here['text'][:60]!r}")
    listed = 0
    for codes in document.lists:
        db.execute(
            "INSERT OR IGNORE INTO lists VALUES (?, ?, ?)",
            [codes["name"], codes["author"], codes["created"]],
        )
        for ref in codes["refs"]:
            if append_to_list(db, codes["name"], ref, codes["author"], now):
                listed += 1
            else:
                known += 1
    return MergeReport(added["labels"], added["notes"], listed, known, tuple(conflicts))


def insert_label(db: sqlite3.Connection, entry: Mapping[str, Any]) -> None:
    """Insert one label, given as in an export."""
    ref = CodeRef.parse(entry["ref"])
    db.execute(
        "INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [entry["uid"], ref.model, ref.site, ref.code, *(entry[k] for k in _LABEL[2:])],
    )


def insert_note(db: sqlite3.Connection, entry: Mapping[str, Any]) -> None:
    """Insert one note, given as in an export."""
    ref = CodeRef.parse(entry["ref"])
    db.execute(
        "INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [entry["uid"], ref.model, ref.site, ref.code, *(entry[k] for k in _NOTE[2:])],
    )


def append_to_list(db: sqlite3.Connection, name: str, ref: CodeRef, author: str, now: str) -> bool:
    """Put a code at the end of a list, made if it is new; False where it was in it already."""
    db.execute("INSERT OR IGNORE INTO lists VALUES (?, ?, ?)", [name, author, now])
    return (
        db.execute(
            "INSERT OR IGNORE INTO list_codes SELECT ?, ?, ?, ?, coalesce(max(place), -1) + 1, ?, ? "
            "FROM list_codes WHERE name = ?",
            [name, ref.model, ref.site, ref.code, author, now, name],
        ).rowcount
        > 0
    )


def _is_same(here: sqlite3.Row, entry: Mapping[str, Any]) -> bool:
    ref = CodeRef(here["model"], here["site"], here["code"])
    return str(ref) == entry["ref"] and all(here[k] == entry[k] for k in entry if k not in ("ref",))


def _check_entry(where: str, entry: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or not set(fields) >= set(entry) or not {"created", *fields[:1]} <= set(entry):
        raise BadInput(f"{where} must be an object with the keys {', '.join(fields)}.")
    try:
        values: dict[str, Any] = {k: entry.get(k) for k in fields}
        datetime.fromisoformat(values["created"])
        if fields == _LIST:
            values["name"] = checked("list", values["name"], required=True)
            values["author"] = checked("author", values["author"] or "")
            if not isinstance(values["refs"], list) or len(values["refs"]) > MAX_ENTRIES:
                raise BadInput("refs must be a list of codes.")
            values["refs"] = [CodeRef.parse(ref) for ref in values["refs"]]
            return values
        if not isinstance(values["uid"], str) or not 1 <= len(values["uid"]) <= 64:
            raise BadInput("uid must be a text of 1 to 64 characters.")
        values["ref"] = str(CodeRef.parse(values["ref"]))
        values["text"] = checked("label" if fields == _LABEL else "note", values["text"], required=True, strip=False)
        for key in ("author", "build", "pattern"):
            if key in values:
                values[key] = checked(key, values[key] or "", strip=False)
        for key in ("precision", "recall", "support"):
            if values.get(key) is not None and (
                isinstance(values[key], bool) or not isinstance(values[key], int | float)
            ):
                raise BadInput(f"{key} must be a number.")
    except (BadInput, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{where} cannot be imported: {error} Nothing was imported.") from error
    return values
