"""What a person should know about their own data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Something that a person should know about one of their files, or about several.

    Attributes:
        path: the file, as it is shown; for tables with the row behind it, `photos.parquet row 3`.
        what: what is the matter with it.
        done: what was done: `skipped`, or what was read.
    """

    path: str
    what: str
    done: str

    def __str__(self) -> str:
        """Write it as one line for people."""
        return f"{self.path}: {self.what} {self.done[:1].upper()}{self.done[1:]}."
