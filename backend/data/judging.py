"""How steered text is judged: by the rules that made the data, not by a model. A regular expression serves other data.

What a data set's own rules say stands with the data set (`DataSource.judge`, `DataSource.trial`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

FLUENT = 1.4  # ratio of perplexities, steered to unsteered, up to which steering loses nothing
LOSS = 1.0  # share of successes that a ratio of one more is worth
TRIES = 64  # samples of each candidate of a search
PRACTICE = 40  # steps of practice, each of as many samples
Place = tuple[int, int]  # start and stop in a text


def nowhere(text: str, field: str, value: str) -> list[Place]:
    """Return no place: the judge cannot say where it sees what it sees."""
    return []


@dataclass(frozen=True)
class Judge:
    """Who says what is true of a text that a model wrote; call it with the text.

    Attributes:
        values: field -> the values that it can find.
        read: text -> field -> the values that hold for it.
        places: text, field and value -> the places of the text that speak for the value, in order.
    """

    values: Mapping[str, tuple[str, ...]]
    read: Callable[[str], Mapping[str, frozenset[str]]]
    places: Callable[[str, str, str], list[Place]] = nowhere

    def __call__(self, text: str) -> Mapping[str, frozenset[str]]:
        """Return, for each field, the values that hold for a text."""
        return self.read(text)


@dataclass(frozen=True)
class Behaviour:
    """Something that steering should bring about, and how it is judged.

    Attributes:
        field, value: what the judge must say of the new text.
        truth: field and value of the truth that the codes are found by: a tag of whole items, else a label of positions.
    """

    field: str
    value: str
    truth: tuple[str, str]


@dataclass(frozen=True)
class Trial:
    """How steering is tried on a data set.

    Attributes:
        choosing: prompts on which codes are found.
        testing: prompts on which they are tested; no prompt is in both.
        behaviours: what is brought about.
        new_tokens, temperature: of each sample, steered or not.
    """

    choosing: tuple[str, ...]
    testing: tuple[str, ...]
    behaviours: tuple[Behaviour, ...]
    new_tokens: int
    temperature: float
