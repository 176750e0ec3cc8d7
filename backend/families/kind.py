"""What the house knows of a family before it opens one: its items, its files, and the doors that lead into its room.

A door is a name and the place of what stands behind it, `module:attribute`; nothing is imported before it is opened.

    open      (spec, folder, device, other) -> Family
    live      (family, other) -> what pages and commands ask for texts, pictures and edits
    measure   (family, other, request, into) -> None: adds every figure of the model to `into`
    train     tuple of `backend.cli.Recipe`: what `python -m backend train` offers
    bring     mapping of a format's name to `backend.jobs.importing.Format`: what `import` reads
    tables    mapping of a table's name to what `reproduce` makes: see `backend.jobs.reproduce`

`other(name)` opens another model of the catalog: a base, a tokenizer, a decoder. So no family imports another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from backend.errors import Unsupported

DOORS = ("open", "live", "measure", "train", "bring", "tables")


@dataclass(frozen=True)
class FamilyKind:
    """One family from the outside.

    Attributes:
        item: what its items are, a key of the app's item views: `text`, `image`.
        files: names of the files that every checkpoint of the family has.
        doors: door -> `module:attribute`, keys out of `DOORS`.
    """

    item: str
    files: tuple[str, ...]
    doors: Mapping[str, str]

    def door(self, name: str) -> Any:
        """Open a door: import what stands behind it.

        Raises:
            Unsupported: the family has no such door.
        """
        if name not in self.doors:
            raise Unsupported(f"Models of this family cannot do that: the family has no {name!r} door.")
        module, _, attribute = self.doors[name].partition(":")
        return getattr(import_module(module), attribute)
