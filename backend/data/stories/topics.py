"""The topics of the stories: each with its own words, which no other topic and no shared frame uses, and its frames.

The texts in `story_topics_wonder`, `story_topics_town` and `story_topics_nature` are read line by line:

- `# name` starts a topic;
- `beings`, `places`, `things` (countable; `x:y` gives an irregular plural) fill the slots of that name; `nouns`, `verbs`
  (`base:past:participle` where irregular) and `adjectives` are further words of the topic;
- `acts`: what one can do, as a base form, for the slot `{act}`; `months`: when it can happen, any month where absent;
- `arrive`, `middle`, `end`: frames of these parts; `problem`, and in the next line `solved`: a problem and what solves it.

A line that starts with two spaces goes on from the line above.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.data.stories import topics_nature as story_topics_nature
from backend.data.stories import topics_town as story_topics_town
from backend.data.stories import topics_wonder as story_topics_wonder
from backend.data.stories.words import MONTHS, noun_forms, plural, verb_forms

NOUN_ENTITIES = {"beings": "creature", "places": "place", "things": "object", "nouns": "object"}


@dataclass(frozen=True)
class Topic:
    """One topic; frames are still text here.

    Attributes:
        name: e.g. `dragon`.
        lexicon: its words in all forms, lower case -> (part of speech, entity or ""); verbs carry their tense as entity.
        slots: slot name -> what may fill it.
        arrive, middle, end: frames.
        problems: pairs of frames: problem, solution.
    """

    name: str
    lexicon: dict[str, tuple[str, str]]
    slots: dict[str, list[str]]
    arrive: list[str]
    middle: list[str]
    end: list[str]
    problems: list[tuple[str, str]]


def _read(text: str) -> list[Topic]:
    topics: list[Topic] = []
    blocks = text.replace("\n  ", " ").split("# ")[1:]
    for block in blocks:
        name, *lines = block.strip().splitlines()
        parts: dict[str, list[str]] = {}
        for line in lines:
            key, _, rest = line.partition(": ")
            parts.setdefault(key, []).append(rest)
        words = {key: _split_words(parts, key) for key in (*NOUN_ENTITIES, "verbs", "adjectives")}
        topics.append(
            Topic(
                name,
                _collect_forms(words),
                {
                    "being": _drop_plurals(words["beings"]),
                    "place": _drop_plurals(words["places"]),
                    "thing": _drop_plurals(words["things"]),
                    "things": [plural(word) for word in words["things"]],
                    "act": [act.strip() for act in parts["acts"][0].split("|")],
                    "month": [m.strip() for m in parts["months"][0].split(",")] if "months" in parts else list(MONTHS),
                },
                parts["arrive"],
                parts["middle"],
                parts["end"],
                list(zip(parts["problem"], parts["solved"], strict=True)),
            )
        )
    return topics


def _split_words(parts: dict[str, list[str]], key: str) -> list[str]:
    return [word.strip() for line in parts.get(key, []) for word in line.split(",")]


def _drop_plurals(words: list[str]) -> list[str]:
    return [word.split(":")[0] for word in words]


def _collect_forms(words: dict[str, list[str]]) -> dict[str, tuple[str, str]]:
    """Collect all forms of words given by group; of a phrase only its last word belongs to the topic."""
    lexicon: dict[str, tuple[str, str]] = {}
    for verb in words["verbs"]:
        for form, tense in verb_forms(verb).items():
            lexicon[form] = ("verb", tense)
    for adjective in words["adjectives"]:
        lexicon[adjective] = ("adjective", "")
    for group, entity in NOUN_ENTITIES.items():
        for noun in words[group]:
            for form in noun_forms(noun):
                lexicon[form.split()[-1]] = ("noun", entity)
    return lexicon


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for module in (story_topics_wonder, story_topics_town, story_topics_nature)
    for topic in _read(module.TEXT)
}
