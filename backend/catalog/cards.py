"""The model card beside the weights: what was measured when the model was trained, and how it was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.edits.codes import Edit
from backend.errors import BadInput, CheckpointError


@dataclass(frozen=True)
class Card:
    """One card.

    Attributes:
        metrics: name -> value, low, high, n, seeds, definition.
        curve: what was written down along the training: one row a step with `step` and the measures of that moment.
    """

    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


def read_card(folder: Path) -> Card:
    """The card in a checkpoint's folder; an empty one where there is none.

    Raises:
        CheckpointError: it cannot be read.
    """
    path = folder / "card.json"
    if not path.is_file():
        return Card()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        metrics = data.get("metrics", {})
        for metric in metrics.values():
            float(metric["value"]), float(metric["low"]), float(metric["high"])
            int(metric["n"]), int(metric["seeds"]), str(metric["definition"])
        edits_in(data)
        curve = data.get("training", {}).get("curve", [])
        return Card(metrics, [{str(name): float(value) for name, value in row.items()} for row in curve])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInput) as error:
        raise CheckpointError(
            f"The model card {path} cannot be read ({str(error)[:200]}). Make it again with python -m backend evaluate MODEL "
            "--write-card, or delete it: it holds figures, no weights."
        ) from error


def edits_in(card: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """`FIELD=VALUE` -> the edits that a card's `edits` hold, each as commands write them; nothing where it has none.

    Raises:
        TypeError: they are no lists.
        AttributeError: they have no names.
        BadInput: one cannot be read.
    """
    found = {}
    for name, some in card.get("edits", {}).items():
        if not isinstance(some, list):
            raise TypeError(f"the edits of {name} are no list")
        found[str(name)] = tuple(str(Edit.parse(one)) for one in some)
    return found
