"""Parts of a page that run alone when something in them is clicked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from app.components.follower import say_ran
from app.shell import foot, session
from app.shell.trace import begin, trace
from app.shell.widgets import guarded

P = ParamSpec("P")


def part(draw: Callable[P, None]) -> Callable[P, None]:
    """Make a part of a page: `st.fragment`, guarded, and the foot of the page says what it took when it runs alone."""
    name = f"{draw.__module__}.{draw.__qualname__}".replace(".", "-")

    @st.fragment
    @functools.wraps(draw)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        alone = trace().ended > 0  # the page has run, so that this is a run of the part alone
        if alone:
            begin()
        with guarded():
            draw(*args, **kwargs)
        if alone:
            foot.take_over()
            session.keep(name, session.kept(name, 0) + 1)
        say_ran(name, session.kept(name, 0))

    return run
