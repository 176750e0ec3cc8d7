"""The Overview's tables: all models, comparisons beside the paper, the figures and the build of one model."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
import streamlit as st

from app.draw.tables import records
from app.overview import measures
from app.overview.gallery import codebook_models, own_first
from app.shell import address, building, widgets
from backend.explorer import Explorer

Tables = dict[str, pd.DataFrame]  # name -> what the page offers to download


def other_builds(shown: Collection[str]) -> None:
    """Draw the builds that are under way, or have failed, of models that have no card."""
    others = [entry for entry in building.under_way() if entry["model"] not in shown and entry["state"] != "done"]
    if others:
        widgets.section("Being built", "each can be opened as soon as it is done")
        for entry in others:
            _row(entry["model"], "")


def all_models(explorer: Explorer, models: pd.DataFrame) -> Tables:
    """Draw every model: those with a build, those that can be built, and plain ones."""
    models = own_first(models)
    built = models[models["built"] != ""]
    able = codebook_models(models)
    waiting = able[able["built"] == ""]
    rest = models[(models["built"] == "") & ~models["model"].isin(waiting["model"])]
    note = f"{len(built)} built of {len(models)} known; every count is over the whole build"
    widgets.section("Models", note)
    if built.empty:
        widgets.empty("No model is built yet.", "Build one of those below; it can be opened as soon as it is done.")
    else:
        metrics = {str(name): explorer.metrics(str(name)) for name in built["model"]}
        widgets.draw(measures.model_table(built, metrics))
    if len(waiting):
        widgets.section("Not built yet", "a build looks where every code fires; it takes 10 seconds to some minutes")
        with st.container(key="unbuilt"):
            for row in records(waiting):
                _row(str(row.model), str(row.title), str(row.problem or ""))
    other_builds(set(models["model"]))
    if len(rest):
        widgets.section("Without codes", "what the others are compared with, and models whose weights are not here")
        widgets.draw(measures.plain_table(rest, set(models["base"])))
    return {"models": models}


def _row(model: str, title: str, problem: str = "") -> None:
    """Draw one model that can be built, with its button."""
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        widgets.draw(measures.model_name(model, title, problem))
    with right:
        building.offer(model)


def beside_the_paper(explorer: Explorer) -> Tables:
    """Draw every comparison that was trained here, with the paper's figures in columns of their own."""
    found = {
        name: record
        for name, record in explorer.comparisons().items()
        if record["rows"] and any(row["paper"] for row in record["rows"])
    }
    for name, record in found.items():
        widgets.section(f"Beside the paper: {name}", measures.comparison_note(record))
        widgets.draw(measures.comparison_table(record))
    if not found:
        widgets.empty("No comparison was run here.", "Run one: python -m backend reproduce tokfsm-small")
    return {}


def figures(explorer: Explorer, models: pd.DataFrame, usual: str) -> Tables:
    """Draw what was measured of one model, and what its build says of itself."""
    names = [str(name) for name in own_first(models[models["built"] != ""])["model"]]
    if not names:
        widgets.empty("No model is built yet.", "Build one in the gallery; its figures are shown here then.")
        return {}
    chosen = address.choice("model", names, usual or names[0])
    left, right = st.columns([5, 1.6], vertical_alignment="bottom")
    with left:
        note = "measured by this project; the figures of papers are of other models and stand apart"
        widgets.section(f"How faithful is {chosen}?", note)
    with right:
        st.selectbox("Details of", names, label_visibility="collapsed", **address.bound("model", chosen))
    metrics = explorer.metrics(chosen)
    left, right = st.columns([5, 2], gap="medium")
    with left:
        if len(metrics):
            widgets.draw(measures.metric_table(metrics, measures.published(explorer, chosen)))
        else:
            widgets.empty(
                "Nothing was measured yet.",
                f"Run: python -m backend evaluate {chosen} --write-card, then build it again.",
            )
    with right:
        widgets.section("The build", "what was precomputed, from what, and when")
        has_codes = int(models.loc[models["model"] == chosen, "codebooks"].iloc[0]) > 0
        widgets.draw(measures.fact_table(explorer.facts(chosen)), measures.ways(chosen) if has_codes else "")
    return {"models": models, "metrics": metrics}
