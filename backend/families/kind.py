"""What the house knows of a family before it opens one: its items, its files, and the doors that lead into its room.

A door is a name and the place of what stands behind it, `module:attribute`; nothing is imported before it is opened.

    open      (spec, folder, device, other) -> Family
    live      (family, other) -> what pages and commands ask for texts, pictures and edits
    measure   (family, other, request, into) -> None: adds every figure of the model to `into`, as a `Request` asks
    train     tuple of `backend.train.recipes.Recipe`: what `python -m backend train` offers
    bring     mapping of a format's name to `backend.formats.format.Format`: what `import` reads
    tables    mapping of a table's name to `backend.train.tables.Table`: what `reproduce` makes

`other(name)` opens another model of the catalog: a base, a tokenizer, a decoder. So no family imports another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from backend.errors import Unsupported
from backend.types import Progress

# door -> what a model of a family without it cannot do, in plain words
DOORS: Mapping[str, str] = {
    "open": "be opened",
    "live": "be looked at live",
    "measure": "be measured",
    "train": "be trained here",
    "bring": "be imported",
    "tables": "be reproduced",
}
Other = Callable[
    [str], Any
]  # name of a model of the catalog -> its `Family`, loaded once however often it is asked for


def unsupported(who: str, what: str) -> Unsupported:
    """Return the error of everything that a model or family lacks, e.g. `unsupported("stories-base", "make pictures")`.

    Args:
        who: name of the model, or what it is one of.
        what: that it cannot do.
    """
    return Unsupported(f"{who} cannot {what}. `python -m backend models` lists what each model can do: choose another.")


@dataclass(frozen=True)
class FamilyKind:
    """One family from the outside.

    Attributes:
        item: what its items are, a key of the app's item views: `text`, `image`.
        files: names of the files that every checkpoint of the family has.
        doors: door -> `module:attribute`, keys out of `DOORS`.
        name: key of `backend.families.FAMILIES`; filled in by `kind_of`.
    """

    item: str
    files: tuple[str, ...]
    doors: Mapping[str, str]
    name: str = ""

    def door(self, name: str, model: str = "") -> Any:
        """Open a door: import what stands behind it.

        Args:
            name: key of `DOORS`.
            model: name of the model that it is opened for, to be named where there is no such door.

        Raises:
            Unsupported: the family has no such door.
        """
        if name not in self.doors:
            raise unsupported(model or f"A model of the family {self.name!r}", DOORS[name])
        module, _, attribute = self.doors[name].partition(":")
        return getattr(import_module(module), attribute)


@dataclass(frozen=True)
class Request:
    """What is to be measured of a model.

    Attributes:
        seeds: how many times, on other held-out items each time.
        items: held-out items, samples and the like, a seed.
        steering: also count how often it works to steer the model to what its data set names.
        edits: `FIELD=VALUE` -> edits as commands write them, found before. Others that are needed are searched for, which
            takes ten minutes each.
        progress: called with (what, done, total).
    """

    seeds: int = 3
    items: int = 256
    steering: bool = True
    edits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    progress: Progress | None = None

    def tell(self, what: str, done: int, total: int) -> None:
        """Tell whoever waits how far it is."""
        if self.progress is not None:
            self.progress(what, done, total)
