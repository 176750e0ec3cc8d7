"""Writes names into chips that were drawn before their names were known, without drawing the page again."""

from __future__ import annotations

import time
from collections.abc import Mapping

from app.components import component
from app.draw import html
from backend.types import CodeRef


def chip_names(
    names: Mapping[CodeRef, str], codebooks: Mapping[tuple[str, str], Mapping[int, str]], waiting: bool
) -> None:
    """Write the names; where more are waited for, run the fragment that calls this again a moment later.

    Args:
        names: of codes whose chips are on the page.
        codebooks: model and codebook -> code -> name, for maps of whole codebooks.
        waiting: whether more are still being found.
    """
    data = {
        "names": {str(ref): html.visible_label(name) for ref, name in names.items()},
        "codebooks": {
            f"{model}/{site}": {str(k): v for k, v in found.items()} for (model, site), found in codebooks.items()
        },
        "waiting": waiting,
        "now": time.monotonic(),  # another value each time, so that the browser asks again
    }
    component("chip_names")(key="chip-names", height=1, data=data, on_asked_change=lambda: None)
