"""What people say of codes: labels, notes and lists, as `Explorer.people` hands them out. Nothing in here reads."""

from __future__ import annotations

from dataclasses import dataclass

from backend.types import CodeRef


@dataclass(frozen=True)
class Label:
    """A person's name for a code: a claim that can be tested.

    Attributes:
        uid: its identity, kept by export and import.
        ref: the code.
        text: the label.
        author: who gave it, as they call themselves; may be empty.
        pattern: the regular expression that stands for the claim; empty where there is none.
        precision, recall: of the code on the pattern, when the label was given; None where not measured.
        support: hits behind them.
        build: the build it was given on.
        created: UTC, ISO 8601.
    """

    uid: str
    ref: CodeRef
    text: str
    author: str
    pattern: str
    precision: float | None
    recall: float | None
    support: int | None
    build: str
    created: str


@dataclass(frozen=True)
class Note:
    """A longer text about a code (markdown, raw). Several people may each leave one; none replaces another's."""

    uid: str
    ref: CodeRef
    text: str
    author: str
    build: str
    created: str


@dataclass(frozen=True)
class CodeList:
    """A named, ordered list of codes."""

    name: str
    author: str
    created: str
    refs: tuple[CodeRef, ...]


@dataclass(frozen=True)
class MergeReport:
    """What an import did.

    Attributes:
        labels, notes, listed: how many were added (`listed`: codes put into lists).
        known: entries that were here already, alike.
        conflicts: entries that are here with other content; they were left as they are here.
    """

    labels: int
    notes: int
    listed: int
    known: int
    conflicts: tuple[str, ...]
