"""What forcing a code does to the output: computed by the model itself, so only when somebody asks."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app.draw import charts, drawing
from app.shell import address, resources, widgets
from app.shell.parts import part
from app.shell.timing import remembered
from backend.explorer import Explorer
from backend.types import CodeRef

CONTEXTS = 64


@part
def effect_panel(explorer: Explorer, ref: CodeRef, can_steer: bool) -> None:
    """The change of the next token's log-probability, measured and estimated; behind a button, kept in the address."""
    widgets.section(
        "Effect on the output", f"forced at the last position of {CONTEXTS} contexts; measured, and the linear estimate"
    )
    if not can_steer:
        widgets.empty("Not available:", "this model cannot be steered.")
        return
    if not address.flag("effect"):
        st.button(
            "Measure the effect",
            on_click=address.write,
            kwargs={"effect": "1"},
            help="Loads the model; takes a few seconds the first time.",
        )
        return
    with st.spinner("Forcing the code and reading the next token ..."):
        frame = measured(str(resources.data_dir()), explorer.build(ref.model), str(ref), explorer)
    drawing.draw(charts.effect, frame, alt=f"Change of the next token's log-probability when {ref} is forced")


def python(ref: CodeRef) -> list[str]:
    """The same as Python, where it was asked for."""
    if not address.flag("effect"):
        return []
    return [f"show(explorer.live({ref.model!r}).effect(CodeRef.parse({str(ref)!r}), contexts={CONTEXTS}, seed=0))"]


@remembered(500)
def measured(data_dir: str, build: str, ref: str, _explorer: Any) -> pd.DataFrame:
    """`token, measured, linear` of the code, kept by build."""
    code = CodeRef.parse(ref)
    found: pd.DataFrame = _explorer.live(code.model).effect(code, contexts=CONTEXTS, seed=0)
    return found
