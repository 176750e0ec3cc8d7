"""All that one data directory holds for reading: the builds, and what people wrote."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from backend import catalog
from backend.errors import NoBuild
from backend.store.people import People
from backend.store.reader import Library, Reader


@dataclass(frozen=True)
class Archive:
    """One data directory.

    Attributes:
        data_dir: the directory.
        library: its builds.
        people: labels, lists and notes.
        looking: held by the one thread that looks into builds before anybody asks for them.
    """

    data_dir: Path
    library: Library
    people: People
    looking: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, data_dir: Path) -> Archive:
        """Open a directory; nothing is read before it is asked for."""
        return cls(data_dir, Library(data_dir), People(data_dir / "people.sqlite"))

    def reader(self, model: str) -> Reader:
        """Return the reader of the model's newest valid build.

        Raises:
            UnknownModel, NoBuild, StoreVersion, StoreError: there is nothing to read.
        """
        try:
            return self.library.reader(model)
        except NoBuild:
            catalog.find(model, self.data_dir)  # an unknown name is another mistake than a missing build
            raise
