"""The result of a slow run: once there is another question it stays, greyed, until the new answer is there."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.shell import session, widgets


@dataclass(frozen=True)
class Earlier:
    """What a part of a page has last shown, in this session.

    Attributes:
        name: of the part and what it is about, e.g. `measure.stories-mlp`.
        draw: draws a result again.
    """

    name: str
    draw: Callable[[Any], Any]

    def keep(self, question: Hashable, result: Any) -> None:
        """Remember a result that has been shown, with the question that it answers."""
        session.keep(f"earlier.{self.name}", (question, result))

    def show(self, question: Hashable, note: str) -> None:
        """Draw the last result, greyed, below a note; nothing where there is none or it answers this very question."""
        before, result = session.kept(f"earlier.{self.name}", (None, None))
        if before is None or before == question:
            return
        with st.container(key=f"earlier-{self.name.replace('.', '-')}"):  # the style sheet greys what is in there
            widgets.section("Before", note)
            self.draw(result)
