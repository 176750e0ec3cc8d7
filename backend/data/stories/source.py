"""The generated stories as a data set: how they are opened, what is true of a story that a model wrote, how steering is tried."""

from __future__ import annotations

from collections.abc import Mapping

from backend.data.judging import Behaviour, Judge, Trial
from backend.data.source import DataSource, Settings
from backend.data.stories.stories import TOPICS, Stories, emotions_in, pronouns_in, topic_of, words_for
from backend.data.stories.words import FEELINGS
from backend.data.texts.corpus import EndlessCorpus
from backend.data.texts.settings import LENGTH_OPTION, check_settings, items_of, with_length

TRIED_TOPICS = 12  # of all topics, that steering is tried on
GENDERS = ("female", "male")
CONCEPTS = (
    r"\b(named) ",
    r"named ([A-Z]\w+)",
    r"Once upon a (time)",
    r"(Once) upon",
    r"[.!?]\" ([A-Z]\w+)",
    r"\" (said|asked|cried|called|whispered)",
    r"\. (But) ",
    r"\b(On) (?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)",
    r"\b(very) \w+",
    r"\b(?:a|an|the) (?:big|small|little|old|tiny|huge) (\w+)",
    r"\b(?:her|his) (\w+)",
    r"\b(?:in|on|at|by|to) (the)\b",
    r"\n(\w+)",
)


def _corpus(settings: Settings) -> EndlessCorpus:
    check_settings(settings)
    return EndlessCorpus(Stories().document)


def _read(text: str) -> Mapping[str, frozenset[str]]:
    """Return the `topic` (see `topic_of`), `gender` and `emotion` that the most words speak of; none where two tie."""
    topic = topic_of(text)
    pronouns = pronouns_in(text)
    return {
        "topic": frozenset([topic] if topic else []),
        "gender": _most({"female": pronouns["she"], "male": pronouns["he"]}),
        "emotion": _most(emotions_in(text)),
    }


def _most(counts: Mapping[str, int]) -> frozenset[str]:
    best = max(counts.values())
    names = [name for name, count in counts.items() if count == best]
    return frozenset(names if best and len(names) == 1 else [])


JUDGE = Judge({"topic": TOPICS, "gender": GENDERS, "emotion": tuple(FEELINGS)}, _read, words_for)
_TRIED = {"topic": TOPICS[:TRIED_TOPICS], "gender": GENDERS, "emotion": ("happy", "sad")}
TRIAL = Trial(
    choosing=(
        "Once upon a time, there was",
        "There once lived",
        "This is the story of a child",
        "Far away, in a small town,",
    ),
    testing=(
        "Once there was",
        "Long ago, in a small house,",
        "A child",
        "In a long street, there lived",
        "Not long ago, there was",
    ),
    behaviours=tuple(Behaviour(field, value, (field, value)) for field, values in _TRIED.items() for value in values),
    new_tokens=200,  # as the paper's, a whole story
    temperature=0.7,
)
SOURCE = DataSource(
    name="stories",
    item="text",
    about="generated stories with known truth",
    title="Generated stories",
    open=items_of(_corpus),
    corpus=_corpus,
    judge=JUDGE,
    trial=TRIAL,
    concepts=CONCEPTS,
    options=(LENGTH_OPTION,),
    resolve=with_length,
)
