"""What the rules that made a data set say of a text that a model wrote. The only place of the app that asks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.data.datasets import SOURCES, source_of
from backend.data.judging import Judge, Place, Trial


@dataclass(frozen=True)
class Aim:
    """What steering is to bring about.

    Attributes:
        judge: who says whether it did.
        field, value: what must hold of the new text, e.g. `topic` and `dragon`.
    """

    judge: Judge
    field: str
    value: str

    def __str__(self) -> str:
        return f"{self.field}={self.value}"

    def holds(self, text: str) -> bool:
        """Say whether it is true of a text."""
        return self.value in self.judge(text).get(self.field, ())

    def places(self, text: str) -> list[Place]:
        """Return start and stop of every word or piece that speaks for it."""
        return self.judge.places(text, self.field, self.value)

    def verdict(self, text: str) -> str:
        """Return what holds of a text in this field, in words: `topic: mountain`, or `no topic`."""
        held = sorted(self.judge(text).get(self.field, ()))
        return f"{self.field}: {', '.join(held)}" if held else f"no {self.field}"


def values(dataset: str) -> Mapping[str, tuple[str, ...]]:
    """Return field -> values that new text of a data set can be judged for; nothing where nobody can."""
    return source_of(dataset).judged if dataset in SOURCES else {}


def trial(dataset: str) -> Trial | None:
    """Return how steering is tried on a data set; None where nothing can be judged."""
    return source_of(dataset).trial if dataset in SOURCES else None


def aim(dataset: str, field: str, value: str) -> Aim | None:
    """Return the aim of that name, or of the label that it is the truth of; None where new text cannot be judged for it.

    Example:
        Of stories, the label `story topic` = `dragon` and the judge's `topic` = `dragon` are the same aim.
    """
    source = source_of(dataset) if dataset in SOURCES else None
    if source is None or source.judge is None:
        return None
    behaviour = source.behaviour(field, value)
    if behaviour is not None:
        return Aim(source.judge, behaviour.field, behaviour.value)
    last = field.rpartition(" ")[2]  # `story topic`: the topic of a whole story
    return Aim(source.judge, last, value) if value in source.judged.get(last, ()) else None
