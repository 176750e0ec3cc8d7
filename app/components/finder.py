"""The search box of the header: what is written is looked up as it is typed, and the list below leads to pages.

Arrow keys choose, Enter opens what is chosen or the first, Escape closes. `/` puts the cursor in it (see `navigator`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from app.components import component

MAX_TEXT = 200  # characters


@dataclass(frozen=True)
class Hit:
    """One line of the list.

    Attributes:
        kind: what it is, e.g. `concept`, `model`.
        title: its name.
        detail: where it leads and how sure that is.
        href: the address of the page that it opens.
    """

    kind: str
    title: str
    detail: str
    href: str


def finder(text: str, hits: Sequence[Hit], waiting: int, *, key: str) -> None:
    """Draw the box; what is written in it is the session's `KEY.written`.

    Args:
        text: what `hits` were found for.
        hits: what the list shows, best first.
        waiting: models that are still being looked into; while there are some the box asks again.
        key: names the box.
    """
    component("finder")(
        key=key,
        data={"text": text, "hits": [asdict(hit) for hit in hits], "waiting": waiting, "most": MAX_TEXT},
        default={"written": "", "again": 0},
        on_written_change=lambda: None,
        on_again_change=lambda: None,
    )
