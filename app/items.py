"""Kinds of items and how each is drawn. A kind that needs no drawing of its own is one line with `ANY`."""

from __future__ import annotations

import pandas as pd

from app.code import any_code, image_code, text_code
from app.draw.item_view import ItemView
from app.draw.tables import row

ANY = ItemView(any_code.chips, any_code.places, any_code.code_page)
ITEM_VIEWS: dict[str, ItemView] = {
    "text": ItemView(
        any_code.chips,
        text_code.places,
        text_code.code_page,
        position="token",
        symbols="tokens",
        text=True,
    ),
    "image": ItemView(
        image_code.gallery,
        image_code.places,
        image_code.code_page,
        position="cell",
        gallery=True,
        page="image_tokens",
        place="cell",
    ),
}


def view_of(models: pd.DataFrame, model: str) -> ItemView:
    """Return how the items of a model are drawn; of a kind that has no line in `ITEM_VIEWS` as any items are."""
    return ITEM_VIEWS.get(str(row(models, "model", model).kind), ANY)
