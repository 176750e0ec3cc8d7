"""What is true of a text that a model wrote, by the rules that made the data: the success of a steered sample.

`JUDGES` maps a data set to a function from text to field -> values that hold for it. A regular expression serves the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

FLUENT = 1.4  # ratio of perplexities, steered to unsteered, up to which steering loses nothing
LOSS = 1.0  # share of successes that a ratio of one more is worth
TRIES = 64  # samples of each candidate of a search
PRACTICE = 40  # steps of practice, each of as many samples
Judge = Callable[[str], Mapping[str, frozenset[str]]]


def judge_story(text: str) -> Mapping[str, frozenset[str]]:
    """Of stories: `topic` (see `stories.topic_of`), `gender` and `emotion` that the most words speak of; none where two tie."""
    from backend.data.stories.stories import emotions_in, pronouns_in, topic_of

    topic = topic_of(text)
    pronouns = pronouns_in(text)
    return {
        "topic": frozenset([topic] if topic else []),
        "gender": _most({"female": pronouns["she"], "male": pronouns["he"]}),
        "emotion": _most(emotions_in(text)),
    }


def judge_code(text: str) -> Mapping[str, frozenset[str]]:
    """Of Python: `syntax`, everything that occurs, out of `python_source.BEHAVIOURS`."""
    from backend.data.texts.python_source import behaviours

    return {"syntax": frozenset(name for name, count in behaviours(text).items() if count)}


def _most(counts: Mapping[str, int]) -> frozenset[str]:
    best = max(counts.values())
    names = [name for name, count in counts.items() if count == best]
    return frozenset(names if best and len(names) == 1 else [])


JUDGES: dict[str, Judge] = {"stories": judge_story, "python-source": judge_code}


def judged(dataset: str) -> Mapping[str, tuple[str, ...]]:
    """Field -> values that the judge of a data set can find in a text; nothing where there is no judge."""
    if dataset == "stories":
        from backend.data.stories.stories import FEELINGS, TOPICS

        return {"topic": TOPICS, "gender": ("female", "male"), "emotion": tuple(FEELINGS)}
    if dataset == "python-source":
        from backend.data.texts.python_source import BEHAVIOURS

        return {"syntax": tuple(BEHAVIOURS)}
    return {}


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


STORY_TOPICS = 12


def trial_of(dataset: str) -> Trial | None:
    """How steering is tried on a data set; None where nothing can be judged by itself."""
    if dataset == "stories":
        from backend.data.stories.stories import TOPICS

        return Trial(
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
            behaviours=(
                *(Behaviour("topic", topic, ("topic", topic)) for topic in TOPICS[:STORY_TOPICS]),
                *(Behaviour("gender", gender, ("gender", gender)) for gender in ("female", "male")),
                *(Behaviour("emotion", emotion, ("emotion", emotion)) for emotion in ("happy", "sad")),
            ),
            new_tokens=200,  # as the paper's, a whole story
            temperature=0.7,
        )
    if dataset == "python-source":
        kinds = {
            "comment": ("syntax", "comment"),
            "docstring": ("syntax", "docstring"),
            "string": ("syntax", "string"),
            "import": ("import", "import"),
            "class": ("keyword", "class"),
            "function": ("keyword", "def"),
        }
        return Trial(
            choosing=("import os\n\n", "x = 1\n", "def run(self):\n    value = 0\n", "    return result\n\n"),
            testing=(
                "import sys\n",
                "y = 2\n\n",
                "def main(args):\n    count = 1\n",
                "    return True\n\n",
                "size = 10\n",
            ),
            behaviours=tuple(Behaviour("syntax", name, truth) for name, truth in kinds.items()),
            new_tokens=40,
            temperature=0.7,
        )
    return None


def behaviour_of(dataset: str, field: str, value: str) -> Behaviour | None:
    """The behaviour of that name or of that truth; None where generated text cannot be judged for it."""
    trial = trial_of(dataset)
    for behaviour in trial.behaviours if trial else ():
        if (field, value) in ((behaviour.field, behaviour.value), behaviour.truth):
            return behaviour
    return Behaviour(field, value, (field, value)) if value in judged(dataset).get(field, ()) else None
