"""The view that shows best what a model can do, by what it is capable of: what "Try this" on its card leads to.

`VIEWS` is the registry: the first line whose needs a model meets, and that finds something to show in it, is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.draw import html
from app.draw.tables import Row
from backend.answers.meaning import FirstLook
from backend.data.datasets import source_of
from backend.edits.token_maps import Copy
from backend.explorer import Explorer
from backend.types import CodeRef

LOOKED_AT = 24  # pictures among which two are chosen
NEW_TOKENS = 120  # of a steered text: enough to see it, half the time of a whole one


@dataclass(frozen=True)
class Invitation:
    """A view to open.

    Attributes:
        title: what is to be seen there, as a request.
        address: of the view, ready to run.
    """

    title: str
    address: str


@dataclass(frozen=True)
class View:
    """One way to show what a model can do.

    Attributes:
        needs: capabilities that the model must have.
        invite: makes the invitation; None where this model has nothing to show there.
    """

    needs: frozenset[str]
    invite: Callable[[Explorer, Row, FirstLook], Invitation | None]


def invitation(explorer: Explorer, about: Row, look: FirstLook) -> Invitation | None:
    """Return the invitation to a model's most persuasive view; None where it has none.

    Args:
        explorer: the explorer.
        about: the model's row of `Explorer.models`.
        look: its most meaningful code.
    """
    for view in VIEWS:
        if view.needs <= set(about.capabilities) and (found := view.invite(explorer, about, look)) is not None:
            return found
    return None


def _believe(explorer: Explorer, about: Row, look: FirstLook) -> Invitation:
    return Invitation(
        "Make it believe it is in another state", html.address("states", model=about.model, view="believe", run=1)
    )


def _steer(explorer: Explorer, about: Row, look: FirstLook) -> Invitation | None:
    """Invite to the measured edits that change most how often a behaviour occurs."""
    edits = explorer.measured_edits(about.model)
    best = most_changed(explorer.metrics(about.model), list(edits))
    if best is None:
        return None
    behaviour, before, after = best
    field, _, value = behaviour.partition("=")
    trial = source_of(str(about.dataset)).trial
    how = {"new": min(NEW_TOKENS, trial.new_tokens), "temperature": f"{trial.temperature:g}"} if trial else {}
    address = html.address(
        "steer", model=about.model, field=field, value=value, edit=edits[behaviour], judge=behaviour, **how, run=1
    )
    return Invitation(f"Steer it to {field} = {value}: {before:.0%} → {after:.0%}".replace("%", " %"), address)


def most_changed(metrics: pd.DataFrame, behaviours: list[str]) -> tuple[str, float, float] | None:
    """Return the behaviour `FIELD=VALUE` that steering changes most, its share without and with; None if none was measured.

    Args:
        metrics: `name, value`, with the names `FIELD_unsteered.VALUE` and `FIELD_steered.VALUE`.
        behaviours: those that there are edits for.
    """
    measured = dict(zip(metrics["name"], metrics["value"], strict=True))
    found = []
    for behaviour in behaviours:
        field, _, value = behaviour.partition("=")
        names = (f"{field}_unsteered.{value}", f"{field}_steered.{value}")
        if all(name in measured for name in names):
            found.append((behaviour, float(measured[names[0]]), float(measured[names[1]])))
    return max(found, key=lambda row: row[2] - row[1], default=None)


def _edit_picture(explorer: Explorer, about: Row, look: FirstLook) -> Invitation | None:
    """Invite to put the thing that stands out most from its picture into the calmest other one, by its codes."""
    model, site = str(about.model), look.site
    shown = {item: explorer.picture(model, item) for item in range(min(LOOKED_AT, int(about.items)))}
    if len(shown) < 2:
        return None
    rows, columns = explorer.token_map(model, 0, site).shape[:2]
    things = {item: thing(picture, (rows, columns)) for item, picture in shown.items()}
    loud = max(things, key=lambda item: things[item][1])
    calm = min((item for item in shown if item != loud), key=lambda item: float(shown[item].std((0, 1)).mean()))
    box = things[loud][0]
    change = Copy(site, f"item.{loud}", box, box[:2])
    address = html.address("image_tokens", model=model, item=calm, tool="copy", other=loud, change=change)
    return Invitation("Put a thing into another picture", address)


def thing(picture: np.ndarray, grid: tuple[int, int]) -> tuple[tuple[int, int, int, int], float]:
    """Return where in a picture its cells differ most from those at its border, and how much they do.

    Args:
        picture: uint8 `[height, width, 3]`.
        grid: rows and columns of cells.

    Returns:
        Top, left, bottom and right of the region in cells, bottom and right the first outside; the mean difference inside
        less that outside, times the region's side as a share of the picture's, 0 for more than half of its cells.
    """
    rows, columns = grid
    height, width = picture.shape[0] // rows * rows, picture.shape[1] // columns * columns
    cells = picture[:height, :width].astype(np.float64).reshape(rows, height // rows, columns, width // columns, 3)
    colours = cells.mean((1, 3))  # [row, column, channel]
    edge = np.ones(grid, bool)
    edge[1:-1, 1:-1] = False
    away = np.abs(colours - np.median(colours[edge], axis=0)).mean(-1)
    stands_out = away > (away.max() + np.median(away)) / 2
    at_row, at_column = np.nonzero(stands_out.any(1))[0], np.nonzero(stands_out.any(0))[0]
    if not len(at_row):
        return (0, 0, rows, columns), 0.0
    top, bottom = int(at_row[0]), int(at_row[-1]) + 1
    left, right = int(at_column[0]), int(at_column[-1]) + 1
    inside = np.zeros(grid, bool)
    inside[top:bottom, left:right] = True
    if 2 * inside.sum() > inside.size:
        return (top, left, bottom, right), 0.0
    contrast = away[inside].mean() - away[~inside].mean()
    return (top, left, bottom, right), float(contrast * np.sqrt(inside.mean()))


def _code(explorer: Explorer, about: Row, look: FirstLook) -> Invitation:
    ref = CodeRef(str(about.model), look.site, look.code)
    return Invitation(
        f"Read the code for “{look.text}”" if look.text else "Read its most used code", html.code_address(ref)
    )


VIEWS = (
    View(frozenset({"states", "steer"}), _believe),
    View(frozenset({"steer", "generate"}), _steer),
    View(frozenset({"decode", "edit"}), _edit_picture),
    View(frozenset(), _code),
)
