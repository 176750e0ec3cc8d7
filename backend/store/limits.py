"""How long what people write may be."""

from __future__ import annotations

from backend.errors import BadInput

LIMITS = {"label": 200, "note": 20_000, "author": 80, "list": 100, "pattern": 300, "build": 100}  # characters


def checked(what: str, text: str, *, required: bool = False, strip: bool = True) -> str:
    """Return the text, if it keeps to `LIMITS[what]`; raises `BadInput` otherwise."""
    if not isinstance(text, str):
        raise BadInput(f"The {what} must be a text, not {type(text).__name__}.")
    text = text.strip() if strip else text
    if required and not text.strip():
        raise BadInput(f"The {what} is empty. Write something.")
    if len(text) > LIMITS[what]:
        raise BadInput(f"The {what} has {len(text):,} characters; the limit is {LIMITS[what]:,}. Shorten it.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadInput(f"The {what} holds half a character (a lone surrogate) at {error.start}. Remove it.") from None
    return text
