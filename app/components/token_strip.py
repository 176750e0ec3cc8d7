"""A text whose tokens can be pointed at: hovering shows codes, scores and labels; a click selects the position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.components import component
from app.draw import html


def token_data(text: str, *, gap: str = "", strength: float = 0.0, tag: str = "", tip: str = "") -> dict[str, Any]:
    """One token for the strip, with everything invisible made visible.

    Args:
        text: the exact token.
        gap: the text before it that belongs to no token.
        strength: 0 to 1, how strongly it is coloured.
        tag: a few characters set small behind it.
        tip: one line that is shown while it is pointed at.
    """
    return {
        "text": html.visible_text(text) or "∅",
        "gap": gap if gap.strip(" ") == "" else html.visible_text(gap),
        "strength": round(max(0.0, min(1.0, strength)), 3),
        "tag": html.visible_label(tag),
        "tip": html.visible_label(tip),
    }


def token_strip(
    tokens: Sequence[dict[str, Any]], *, key: str, selected: int | None = None, alt: str = "tokens", hint: str = ""
) -> int | None:
    """Draw the strip.

    Args:
        tokens: what `token_data` made.
        key: names this strip on the page.
        selected: the position that is framed.
        alt: what it is, for screen readers.
        hint: what stands below while nothing is pointed at.

    Returns:
        The position clicked just now, or None.
    """
    result = component("token_strip")(
        key=key,
        data={"tokens": list(tokens), "selected": selected, "alt": alt, "hint": hint},
        on_picked_change=lambda: None,
    )
    picked = result.picked
    return int(picked) if isinstance(picked, (int, float)) and 0 <= picked < len(tokens) else None
