"""How items of one kind are drawn: the only place in which pages differ by kind. The kinds stand in `app.items`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from app.draw import html
from app.draw.tables import Row
from backend.answers.stored import CodeStats, Context
from backend.explorer import Explorer
from backend.types import CodeRef

Names = Mapping[CodeRef, str]


@dataclass(frozen=True)
class ItemView:
    """What pages ask about a kind of items.

    Attributes:
        codes: (explorer, model, codebook, rows of `Explorer.codes`, names) -> many codes at a glance.
        places: (explorer, model, codebook, places) -> places of the build, e.g. those of a boolean query.
        code_page: (explorer, figures, the model's row, names): draws what stands below the figures of a live code.
        position: what one position of an item is called.
        symbols: what the entropy of a code is taken over.
        gallery: `codes` shows more of a code than its chip does.
        text: items are texts: patterns, passages and a person's own text can be asked about.
        page: the page on which an item is shown.
        place: that page's parameter for a position in the item.
    """

    codes: Callable[[Explorer, str, str, pd.DataFrame, Names], Markup]
    places: Callable[[Explorer, str, str, Sequence[Context]], Markup]
    code_page: Callable[[Explorer, CodeStats, Row, Names], None]
    position: str = "position"
    symbols: str = "labels"
    gallery: bool = False
    text: bool = False
    page: str = "lens"
    place: str = "place"

    def address(self, model: str, item: int | None = None, place: int | None = None, site: str = "") -> str:
        """Return the address at which an item is shown, at one of its positions, coloured by a codebook."""
        return html.address(self.page, model=model, item=item, **{self.place: place}, site=site)

    def reads_text(self, model: Row) -> bool:
        """Return whether a person's own text can be given to a model, a row of `Explorer.models`."""
        return self.text and "logits" in model.capabilities
