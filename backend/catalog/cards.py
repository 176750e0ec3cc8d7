"""The model card beside the weights, `card.json`: what was measured of a model, how it was trained, which edits steer it.

This is its only reader and its only writer. A card is checked as a whole when it is read, so that nobody who shows a part
of it meets something else there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.edits.codes import Edit
from backend.errors import BadInput, CheckpointError
from backend.files import write_atomically

CARD = "card.json"


@dataclass(frozen=True)
class Card:
    """One card.

    Attributes:
        metrics: name -> value, low, high, n, seeds, definition.
        training: how the model was made: settings, seconds and the like, as whoever trained it wrote them down.
        edits: `FIELD=VALUE` -> the edits that bring it about, as commands write them; they were found, and then measured.
        other: whatever else stands in the file, kept as it is.
    """

    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    edits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def curve(self) -> list[dict[str, float]]:
        """What was written down along the training: one row a step with `step` and the measures of that moment."""
        return [{str(name): float(value) for name, value in row.items()} for row in self.training.get("curve", [])]

    def trained_as(self, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return `training` if it says all of `about`; None: the model was trained in another way, or it does not say."""
        if {key: self.training[key] for key in about.keys() & self.training.keys()} != about:
            return None
        return dict(self.training)


def read_card(folder: Path) -> Card:
    """Read the card in a checkpoint's folder; an empty one where there is none.

    Raises:
        CheckpointError: it cannot be read, or a part of it is not what it should be.
    """
    path = folder / CARD
    if not path.is_file():
        return Card()
    try:
        data = _read_parts(path)
        card = Card(
            _check_metrics(data.pop("metrics", {})),
            _check_table(data.pop("training", {}), "training"),
            _check_edits(data.pop("edits", {})),
            data,
        )
        _ = card.curve  # raises now, and not in the middle of a page
        return card
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInput) as error:
        raise CheckpointError(
            f"The model card {path} cannot be read ({str(error)[:200]}). Make it again with python -m backend evaluate MODEL "
            "--write-card, or delete it: it holds figures and no weights."
        ) from error


def write_card(folder: Path, card: Card) -> None:
    """Replace the card in a checkpoint's folder at once."""
    data = {**card.other, "metrics": card.metrics, "training": card.training}
    if card.edits:
        data["edits"] = {name: list(edits) for name, edits in card.edits.items()}
    write_atomically(folder / CARD, json.dumps(data, indent=1) + "\n")


def renew_card(
    folder: Path, metrics: Mapping[str, Mapping[str, Any]], edits: Mapping[str, tuple[str, ...]] | None = None
) -> None:
    """Replace what was measured in the card of a checkpoint's folder and keep the rest of it.

    Of a card that cannot be read as a whole the parts that can be are kept.

    Args:
        folder: the checkpoint's.
        metrics: as of a `Card`.
        edits: as of a `Card`; None keeps those that are there.
    """
    try:
        data = _read_parts(folder / CARD)
    except (OSError, ValueError, TypeError, RecursionError):
        data = {}
    _ = data.pop("metrics", None)
    training = data.pop("training", {})
    written = data.pop("edits", {})
    if edits is None:
        try:
            edits = _check_edits(written)
        except (TypeError, AttributeError, BadInput):
            edits = {}
    write_card(folder, Card(metrics, training if isinstance(training, dict) else {}, edits, data))


def _read_parts(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    return dict(_check_table(data, "it"))


def _check_table(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError(f"{what} is not a JSON object")
    return data


def _check_metrics(metrics: Any) -> dict[str, dict[str, Any]]:
    for metric in _check_table(metrics, "metrics").values():
        _ = [float(metric[name]) for name in ("value", "low", "high")]
        _ = int(metric["n"]), int(metric["seeds"]), str(metric["definition"])
    return dict(metrics)


def _check_edits(data: Any) -> dict[str, tuple[str, ...]]:
    edits_by_aim = {}
    for name, edits in _check_table(data, "edits").items():
        if not isinstance(edits, list):
            raise TypeError(f"the edits of {name} are not a list")
        edits_by_aim[str(name)] = tuple(str(Edit.parse(edit)) for edit in edits)
    return edits_by_aim
