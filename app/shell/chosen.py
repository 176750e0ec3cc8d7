"""Which model, codebook and code a page shows: of the address, or chosen so that they fit the page and mean something."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.shell import address
from app.shell.address import BadAddress
from app.shell.pages import ABILITIES, Page
from app.shell.trace import aside, trace
from backend.errors import NoBuild, UnknownModel
from backend.explorer import Explorer
from backend.types import CodeRef


class DoesNotFit(BadAddress):
    """The address names a model that the page cannot show.

    Attributes:
        model: the model.
        page: the page.
        others: models that it can show.
        built: whether the model is built, so that a build would change nothing.
    """

    def __init__(self, model: str, reason: str, page: Page, others: Sequence[str], built: bool) -> None:
        super().__init__(f"{model} {reason}")
        self.model, self.page, self.others, self.built = model, page, list(others), built


def page() -> Page:
    """Return what the page that runs declares."""
    return trace().page or Page("", "", "")


def model_hint() -> str:
    """Return the model of the address, else the one last looked at; not checked, for links only."""
    return str(st.query_params.get("model") or st.session_state.get("model", ""))[:100]


def model(models: pd.DataFrame, pin: bool = True) -> str:
    """Return the model to show: of the address, else the one last looked at if it fits the page, else the first that does.

    Args:
        models: what `Explorer.models` says.
        pin: write the choice into the address, so that it shows the same model wherever it is opened.

    Raises:
        UnknownModel: the address names one that does not exist.
        DoesNotFit: it names one that lacks what the page declares.
        NoBuild: none that fits is built yet.
    """
    shown = page()
    named = st.query_params.get("model")
    if named is not None:
        if named not in set(models["model"]):
            raise UnknownModel(
                f"There is no model {named[:80]!r}. Choose one of those that are here from the list above."
            )
        if reason := shown.lacks(models, named):
            raise DoesNotFit(named, reason, shown, shown.fitting(models), _is_built(models, named))
        st.session_state["model"] = named
        return named
    fitting = shown.fitting(models)
    if not fitting:
        abilities = " and ".join(ABILITIES.get(need, need) for need in shown.needs)
        which = f" that can {abilities}" if abilities else f" of {shown.item} items" if shown.item else ""
        raise NoBuild(
            f"No model{which} is built yet. The Overview shows what is being built; come back when one is done."
        )
    found = usual_model(models[models["model"].isin(fitting)])
    if pin:
        address.write(model=found)
    return found


def _is_built(models: pd.DataFrame, model: str) -> bool:
    return bool((models.loc[models["model"] == model, "built"] != "").any())


def need(models: pd.DataFrame, model: str, *abilities: str) -> None:
    """Check that a model has what a part of the page needs besides; raises `DoesNotFit` as `model` does."""
    if reason := page().lacks(models, model, *abilities):
        raise DoesNotFit(model, reason, page(), page().fitting(models, *abilities), _is_built(models, model))


def usual_model(usable: pd.DataFrame) -> str:
    """Return the one last looked at if it is among these models, else the first demo, else the first; '' without any."""
    if usable.empty:
        return ""
    remembered = st.session_state.get("model")
    if remembered in set(usable["model"]):
        return str(remembered)
    ordered = usable.assign(first=usable["demo"].where(usable["demo"] > 0, 10**6)).sort_values("first", kind="stable")
    return str(ordered["model"].iloc[0])


def first_look(explorer: Explorer, model: str) -> CodeRef:
    """Return the model's most meaningful code."""
    look = explorer.first_look(model)
    return CodeRef(model, look.site, look.code)


def open_first_look(explorer: Explorer, model: str, *, code: bool = False) -> None:
    """Where the address says nothing but the model, write the model's most meaningful codebook into it.

    An address that says more was made when pages opened on the first codebook, and goes on showing that.

    Args:
        explorer: the explorer.
        model: the model.
        code: write the most meaningful code too.
    """
    if not set(address.parameters()) - {"model"}:
        with aside():
            ref = first_look(explorer, model)
        address.write(site=ref.site, code=ref.code if code else None)


def site(codebooks: pd.DataFrame) -> str:
    """Return the codebook of the address, else the first. Raises `BadAddress` where it does not exist."""
    sites = list(codebooks["site"])
    raw = st.query_params.get("site")
    if raw is None:
        return str(sites[0])
    if raw not in sites:
        raise BadAddress(f"This model has no codebook {raw[:80]!r}. Its codebooks are {', '.join(sites[:12])}.")
    return raw


def code(model: str, codebooks: pd.DataFrame) -> CodeRef | None:
    """Return the code of the address; None where it names none. Raises `BadAddress` where it does not exist."""
    raw = st.query_params.get("code")
    if raw is None:
        return None
    chosen = site(codebooks)
    size = int(codebooks.loc[codebooks["site"] == chosen, "num_codes"].iloc[0])
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9 or int(raw) >= size:
        raise BadAddress(f"{chosen} has no code {raw[:40]!r}. Its codes are the whole numbers from 0 to {size - 1:,}.")
    return CodeRef(model, chosen, int(raw))
