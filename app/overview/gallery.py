"""Which models the gallery shows, in which order, and how faithful each is; from the catalog and measures, never names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from app.draw import html
from app.draw.tables import Row, records


def codebook_models(models: pd.DataFrame) -> pd.DataFrame:
    """Return the models that have codes to look at, or may have once they are built: no bases, nothing without weights."""
    plain = models["model"].isin(set(models["base"])) | ((models["built"] != "") & (models["codebooks"] == 0))
    return models[~plain & ((models["built"] != "") | models["checkpoint"])]


def own_first(models: pd.DataFrame) -> pd.DataFrame:
    """Return the models with a person's own before the shipped ones, otherwise in the order in which they came."""
    return models.sort_values("own", ascending=False, kind="stable")


def gallery(models: pd.DataFrame) -> list[Row]:
    """Return the models worth opening: a person's own, built ones first, then the catalog's in its order (`demo`)."""
    able = codebook_models(models)
    own = able[able["own"]].sort_values("built", key=lambda built: built == "", kind="stable")
    shipped = able[~able["own"] & (able["demo"] > 0)].sort_values("demo", kind="stable")
    return records(pd.concat([own, shipped]))


# ---- how faithful


@dataclass(frozen=True)
class Badge:
    """One figure of faithfulness.

    Attributes:
        text: the figure with its unit.
        definition: what is counted, over what.
    """

    text: str
    definition: str


@dataclass(frozen=True)
class Faithfulness:
    """How a badge is made of measures.

    Attributes:
        names: measures that it needs.
        text: writes their values, in that order.
    """

    names: tuple[str, ...]
    text: Callable[..., str]


FAITHFULNESS = (  # the first whose measures are all there is shown
    Faithfulness(("transition_accuracy",), lambda valid: f"{html.share(valid)} valid transitions"),
    Faithfulness(("lm_loss_above_base",), lambda loss: f"loss above base {loss:+z.3f} nats"),
    Faithfulness(
        ("psnr", "utilization_of_ceiling"),
        lambda psnr, used: f"PSNR {psnr:.1f} dB, codes used / ceiling {html.share(used)}",
    ),
    Faithfulness(("psnr",), lambda psnr: f"PSNR {psnr:.1f} dB"),
)


def badge(metrics: pd.DataFrame) -> Badge | None:
    """Return the figure that says best how faithful a model with codes is; None where nothing was measured.

    Args:
        metrics: what `Explorer.metrics` says.
    """
    measured: Mapping[str, Row] = {str(row.name): row for row in records(metrics)}
    for kind in FAITHFULNESS:
        if all(name in measured for name in kind.names):
            rows = [measured[name] for name in kind.names]
            return Badge(kind.text(*(float(row.value) for row in rows)), " ".join(map(_defined, rows)))
    if not measured:
        return None
    name, row = next(iter(measured.items()))
    return Badge(f"{name.replace('_', ' ')} {html.number(float(row.value))}", _defined(row))


def _defined(row: Row) -> str:
    over = f"n = {int(row.n):,}" + (f", {int(row.seeds)} seeds" if row.seeds > 1 else "")
    return f"{str(row.definition).rstrip('.')} ({over})."


# ---- how much of a codebook is used


def reachable(choices: int, codes: int) -> float:
    """Return how many of `codes` equally likely codes are to be expected among so many choices."""
    from backend.analysis.usage import utilization_ceiling

    return float(codes * utilization_ceiling(choices, codes)) if codes else 0.0


@dataclass(frozen=True)
class Use:
    """How many of a model's codes fire in its build, of those that so many choices can reach.

    Attributes:
        used: codes that fire.
        reachable: how many would, were all equally likely.
        codes: all codes.
        choices: activations of the build.
    """

    used: int
    reachable: float
    codes: int
    choices: int

    @property
    def share(self) -> float:
        """Used of reachable, 0 to 1."""
        return min(1.0, self.used / self.reachable) if self.reachable else float("nan")

    @property
    def definition(self) -> str:
        """What is counted."""
        return (
            f"{self.used:,} of {self.codes:,} codes fire in this build. Its {self.choices:,} choices would reach "
            f"{self.reachable:,.0f} if all codes were equally likely: that is the ceiling."
        )


def use_of(row: Row | Mapping[str, Any]) -> Use:
    """Return a built model's use of its codes, from a row of `Explorer.models`."""
    values = row if isinstance(row, Mapping) else vars(row)
    codes, choices = int(values["codes"]), int(values["activations"])
    used = round(codes * (1 - float(values["dead_fraction"]))) if codes else 0
    return Use(used, reachable(choices, codes), codes, choices)
