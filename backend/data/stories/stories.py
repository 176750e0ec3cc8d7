"""Short stories in the manner of children's books, with the truth about every word.

A story is drawn in these steps:

1. hero and friend with their names, a topic, a dominant emotion, a length class;
2. an opening that in seven stories of ten betrays neither topic nor emotion, and a friend;
3. the topic begins (`arrive`), the emotion shows, and the middle goes on until the story is long enough;
4. a problem of the topic, the feeling about it, and its solution;
5. the feeling after it, and an end.

All choices are counted: a story's `nats` is minus the log-probability of its derivation. The mean over stories is the
exact entropy of the derivation in nats, and so an upper bound on the entropy of the text, which is less only where
two derivations write the same text.

She and he always mean the hero; friends are called by their names.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from backend.data.stories.frames import CLOSE, COMPANION, DETAIL, FEELING, FILL, HELP, OPEN_NEUTRAL, OPEN_TOPIC, WHEN
from backend.data.stories.language import TAGS, Draw, Frame, Literal, Scene, Truth, parse
from backend.data.stories.topics import TOPICS as _TOPICS
from backend.data.stories.words import (
    BOYS,
    COLOURS,
    ELDERS,
    EMOTIONS,
    FEELINGS,
    FOODS,
    GENDER,
    GIRLS,
    HOMES,
    KEEPSAKES,
    MONTHS,
    NUMBER_WORDS,
    NUMBERS,
    ORDINALS,
    PETS,
    SHARED,
    WEEKDAYS,
    verb_forms,
)
from backend.data.texts.corpus import Document, Mark

FIELDS = {
    "topic": "the topic to whose own lexicon the word belongs",
    "story topic": "the topic of the whole story, on all of its characters",
    "pos": "part of speech: noun, verb, adjective, adverb, pronoun, determiner, preposition, conjunction, number, name, "
    "interjection, punctuation",
    "entity": "whom or what it names: hero, friend, elder, person, pet, creature, place, object",
    "emotion": "the emotion that the word speaks of",
    "calendar": "whether it is a month or a weekday",
    "month": "which month",
    "weekday": "which weekday",
    "number": "a number, written as digit or word",
    "gender": "female or male, on she, her, herself, he, him, his, himself",
    "quote": "in: between double quotes",
    "tense": "past or present, on finite verbs and past participles; none on infinitives and on -ing",
    "name": "the name of a person",
}
TOPICS: tuple[str, ...] = tuple(_TOPICS)
LENGTHS = {"short": 118, "medium": 145, "long": 175}  # words after which the middle ends
NEUTRAL_OPENINGS = 0.7

_WORD = re.compile(r"[a-z]+")
_ANY_WORD = re.compile(r"[A-Za-z]+")  # the same in a text as it stands, so that its places count in that text
_TOPIC_OF = {word: name for name, topic in _TOPICS.items() for word in topic.lexicon}
_EMOTION_OF = {
    word: emotion for emotion, groups in EMOTIONS.items() for words in groups.values() for word in words.split()
}
_NOT_FINITE_AFTER = frozenset(
    "to can could will would must should may did do not cannot never let's let please didn't don't".split()
)


def _collect_shared_words() -> dict[str, tuple[str, str]]:
    """Collect the words of no topic -> part of speech, and their entity or tense."""
    parts: dict[str, tuple[str, str]] = {}
    for key, words in SHARED.items():
        tag, _, more = key.partition(" ")
        for word in words.split():
            if tag == "verb" and not more:
                for form, tense in verb_forms(word).items():
                    parts.setdefault(form, (tag, tense))  # the first part of speech in which a word stands is its own
            else:
                parts.setdefault(word, (tag, more))
    for groups in EMOTIONS.values():
        for tag, words in groups.items():
            for word in words.split():
                past = tag == "verb" and (word.endswith("ed") or word == "wept")
                parts[word] = (tag, "past" if past else "present" if tag == "verb" and word[-3:] != "ing" else "")
    return parts


_SHARED = _collect_shared_words()


def _truth(word: str, before: str, tag: str) -> list[tuple[str, str]]:
    """Look up fields and values of a word, given the word before it in its frame and the annotated tag.

    Raises:
        ValueError: a word that is in no lexicon.
    """
    small = word.lower()
    entry = next((t.lexicon[small] for t in _TOPICS.values() if small in t.lexicon), None) or _SHARED.get(small)
    if entry is None and not tag:
        raise ValueError(f"The word {word!r} of a frame is in no lexicon: add it to SHARED or to a topic.")
    pos, more = entry or ("", "")
    if tag:
        # the lexicon's entity or tense belongs to its own part of speech only
        pos, more = TAGS[tag], more if pos == TAGS[tag] else ("present" if tag == "v" else "")
    values = [("pos", pos)]
    if pos == "verb":
        if more == "past" or (more == "present" and before not in _NOT_FINITE_AFTER):
            values.append(("tense", more))
    elif more:
        values.append(("entity", more))
    if small in _TOPIC_OF:
        values.append(("topic", _TOPIC_OF[small]))
    if small in _EMOTION_OF:
        values.append(("emotion", _EMOTION_OF[small]))
    if small in NUMBER_WORDS:
        values.append(("number", "word"))
    if small in GENDER:
        values.append(("gender", GENDER[small]))
    return values


def _frames(texts: Iterable[str]) -> tuple[Frame, ...]:
    return tuple(parse(text, _truth) for text in texts)


def _words(words: Iterable[str], pos: str, **more: str) -> tuple[Frame, ...]:
    """Make frames of single words with the same truth; `month="*"` stands for the word itself."""
    frames = []
    for word in words:
        values = {"pos": pos, **{name: word if value == "*" else value for name, value in more.items()}}
        frames.append((Literal(word, tuple((0, len(word), name, value) for name, value in values.items())),))
    return tuple(frames)


@dataclass(frozen=True)
class _Chapter:
    """The parsed frames and lists of a topic."""

    lists: dict[str, tuple[Frame, ...]]
    arrive: tuple[Frame, ...]
    middle: tuple[Frame, ...]
    end: tuple[Frame, ...]
    problems: tuple[tuple[Frame, Frame], ...]


class _Book:
    """All frames and lists, parsed once."""

    def __init__(self) -> None:
        self.open_neutral, self.open_topic = _frames(OPEN_NEUTRAL), _frames(OPEN_TOPIC)
        self.detail, self.companion, self.fill = _frames(DETAIL), _frames(COMPANION), _frames(FILL)
        self.help, self.close = _frames(HELP), _frames(CLOSE)
        self.feeling = {
            emotion: {part: _frames(texts) for part, texts in parts.items()} for emotion, parts in FEELING.items()
        }
        months = dict(zip(MONTHS, _words(MONTHS, "noun", calendar="month", month="*"), strict=True))
        self.lists = {
            "when": _frames(WHEN),
            "weekday": _words(WEEKDAYS, "noun", calendar="weekday", weekday="*"),
            "number": _words(NUMBERS, "number", number="word"),
            "age": _words(NUMBERS[2:8], "number", number="word"),
            "digit": _words((str(n) for n in range(2, 32)), "number", number="digit"),
            "ordinal": _words(ORDINALS, "adjective", number="word"),
            "colour": _words(COLOURS, "adjective"),
            "food": _words(FOODS, "noun", entity="object"),
        }
        self.feelings = {emotion: _frames(words) for emotion, words in FEELINGS.items()}
        self.once = {
            "favorite": _words(COLOURS, "adjective"),
            "home": _words(HOMES, "noun", entity="place"),
            "pet": _words(PETS, "noun", entity="pet"),
            "keepsake": _words(KEEPSAKES, "noun", entity="object"),
            "elder": _words(ELDERS, "noun", entity="elder"),
        }
        self.names = {
            role: {
                "female": _words(GIRLS, "name", entity=role, name="*"),
                "male": _words(BOYS, "name", entity=role, name="*"),
            }
            for role in ("hero", "friend")
        }
        self.pronouns = {
            gender: {
                slot: (parse(word, _truth, entity="hero"))
                for slot, word in zip(("he", "him", "his", "himself", "child"), words.split(), strict=True)
            }
            for gender, words in (("female", "she her/p her/d herself girl"), ("male", "he him his/d himself boy"))
        }
        self.chapters: dict[str, _Chapter] = {}
        for name, topic in _TOPICS.items():
            lists = {slot: _frames(texts) for slot, texts in topic.slots.items() if slot not in ("act", "month")}
            lists["act"] = tuple(parse(text, _truth, before="to") for text in topic.slots["act"])
            lists["month"] = tuple(months[m] for m in topic.slots["month"])
            problems = tuple((parse(a, _truth), parse(b, _truth)) for a, b in topic.problems)
            arrive, middle, end = (_frames(part) for part in (topic.arrive, topic.middle, topic.end))
            self.chapters[name] = _Chapter(lists, arrive, middle, end, problems)


@cache
def _book() -> _Book:
    return _Book()


class Stories:
    """The generator. Story `index` depends on `index` and `seed` alone."""

    def document(self, index: int, seed: int) -> Document:
        """Write one story of 110 to 220 words in two to four paragraphs, with marks of the `FIELDS`.

        Tags: `topic`, `emotion`, `gender` (of the hero), `length` (class).
        """
        # Every choice below takes the next random number: another order of the calls writes other stories.
        book, draw = _book(), Draw(random.Random(f"{seed}/{index}"))
        topic = TOPICS[draw.below(len(TOPICS))]
        emotion = list(FEELINGS)[draw.below(len(FEELINGS))]
        gender = ("female", "male")[draw.below(2)]
        length = list(LENGTHS)[draw.below(len(LENGTHS))]
        chapter = book.chapters[topic]
        scene = Scene(
            draw,
            self._cast(book, draw, gender) | self._props(draw, chapter.lists),
            {
                **book.lists,
                "month": chapter.lists["month"],
                "act": chapter.lists["act"],
                "feeling": book.feelings[emotion],
                "middle": chapter.middle,
                "fill": book.fill,
            },
        )
        feeling = {part: list(frames) for part, frames in book.feeling[emotion].items()}

        def write(frames: tuple[Frame, ...] | list[Frame]) -> Literal:
            return scene.sentence(frames[draw.below(len(frames))])

        def feel(part: str) -> Literal:
            return scene.sentence(feeling[part].pop(draw.below(len(feeling[part]))))

        opening = [write(book.open_neutral if draw.chance(NEUTRAL_OPENINGS) else book.open_topic)]
        if draw.chance(0.6):
            opening.append(write(book.detail))
        opening.append(write(book.companion))
        begin = [write(chapter.arrive), feel("start")]
        problem, solution = chapter.problems[draw.below(len(chapter.problems))]
        trouble = [scene.sentence(problem), feel("trouble"), write(book.help), scene.sentence(solution)]
        after = [feel("after"), write(chapter.end), write(book.close)]
        words = sum(_count(s) for part in (opening, begin, trouble, after) for s in part)
        while words < LENGTHS[length]:
            begin.append(scene.sentence(scene.take("middle" if draw.chance(0.6) else "fill")))
            words += _count(begin[-1])
        paragraphs = [opening, begin, trouble, after]
        for joint in (2, 0):  # the ending with the solution, the opening with the beginning
            if draw.chance(0.25):
                paragraphs[joint : joint + 2] = [paragraphs[joint] + paragraphs[joint + 1]]
        text, truth = _join(paragraphs)
        marks = [Mark(0, len(text), "story topic", topic), *(Mark(*values) for values in truth)]
        tags = {"topic": topic, "emotion": emotion, "gender": gender, "length": length}
        return Document(text, marks, tags, draw.nats)

    @staticmethod
    def _cast(book: _Book, draw: Draw, gender: str) -> dict[str, Frame]:
        """Draw the slots that stay the same through a story."""
        heroes = book.names["hero"][gender]
        hero = draw.below(len(heroes))
        other = ("female", "male")[draw.below(2)]
        friends = book.names["friend"][other]
        if other == gender:
            friends = friends[:hero] + friends[hero + 1 :]  # two children of one name could not be told apart
        cast = {"hero": heroes[hero], "friend": friends[draw.below(len(friends))], **book.pronouns[gender]}
        return cast | {slot: frames[draw.below(len(frames))] for slot, frames in book.once.items()}

    @staticmethod
    def _props(draw: Draw, lists: dict[str, tuple[Frame, ...]]) -> dict[str, Frame]:
        """Draw the place, the creature and the object of the topic that this story comes back to."""
        thing = draw.below(len(lists["thing"]))
        props = {"thing": lists["thing"][thing], "things": lists["things"][thing]}
        return props | {slot: lists[slot][draw.below(len(lists[slot]))] for slot in ("being", "place")}


def _count(sentence: Literal) -> int:
    return sentence.text.count(" ") + 1


def _join(paragraphs: list[list[Literal]]) -> tuple[str, list[Truth]]:
    """Join sentences to a text, a space between sentences and a line break between paragraphs, with its truth."""
    parts: list[str] = []
    truth: list[Truth] = []
    at = 0
    for paragraph in paragraphs:
        for i, sentence in enumerate(paragraph):
            parts.append(sentence.text)
            truth.extend((start + at, stop + at, name, value) for start, stop, name, value in sentence.truth)
            parts.append("\n" if i == len(paragraph) - 1 else " ")
            at += len(sentence.text) + 1
    return "".join(parts)[:-1], truth


# -- what is true of any text, for judging text that a model wrote ---------------------------------------------------


def _tally(text: str, meaning: dict[str, str], names: Iterable[str]) -> dict[str, int]:
    counts = dict.fromkeys(names, 0)
    for word in _WORD.findall(text.lower()):
        if word in meaning:
            counts[meaning[word]] += 1
    return counts


def words_for(text: str, field: str, value: str) -> list[tuple[int, int]]:
    """Return where the words stand that speak for a value of `topic`, `gender` or `emotion`: start and stop, in order.

    These are the words that `topics_in`, `pronouns_in` and `emotions_in` count. Another field has none.
    """
    meaning = {"topic": _TOPIC_OF, "gender": GENDER, "emotion": _EMOTION_OF}.get(field, {})
    return [word.span() for word in _ANY_WORD.finditer(text) if meaning.get(word[0].lower()) == value]


def topics_in(text: str) -> dict[str, int]:
    """Count, for each topic, the words of its own lexicon in the text (whole words, any case)."""
    return _tally(text, _TOPIC_OF, TOPICS)


def topic_of(text: str) -> str | None:
    """Return the topic that has at least two words in the text, and more than any other; None if there is none."""
    (most, name), (second, _) = sorted(((count, name) for name, count in topics_in(text).items()), reverse=True)[:2]
    return name if most >= 2 and most > second else None


def on_topic(text: str, topic: str) -> bool:
    """Say whether the text is about the topic, as `topic_of` judges."""
    return topic_of(text) == topic


def pronouns_in(text: str) -> dict[str, int]:
    """Count the female ("she") and male ("he") pronouns, in all their forms."""
    counts = _tally(text, GENDER, ("female", "male"))
    return {"she": counts["female"], "he": counts["male"]}


def emotions_in(text: str) -> dict[str, int]:
    """Count, for each emotion, the words of the text that speak of it."""
    return _tally(text, _EMOTION_OF, FEELINGS)
