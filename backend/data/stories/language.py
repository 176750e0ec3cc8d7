r"""A small slot language: frames that are parsed once and drawn from often, with the truth of every word.

A frame is a sentence such as `{Hero} [walked|ran] to {a} {thing}.`:

- a plain word is looked up in the lexicon (`word_truth`); `word/v` says its part of speech where the lexicon's first
  meaning is not the one meant (`n v j r p d i c m u`: noun, verb, adjective, adverb, pronoun, determiner, preposition,
  conjunction, number, interjection);
- `[x|y|z]` is an even choice, whose options may contain slots, not choices;
- `{slot}` is filled by the scene; a capital first letter capitalises what fills it; `{a}` becomes "a" or "an".

Sentences start with a capital letter by themselves. What is inside double quotes is marked `quote`.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Truth = tuple[int, int, str, str]  # start, stop, field, value: as a Mark, but of a piece
WordTruth = Callable[[str, str, str], "list[tuple[str, str]]"]  # word, word before, annotated tag -> fields and values

TAGS = {
    "n": "noun",
    "v": "verb",
    "j": "adjective",
    "r": "adverb",
    "p": "pronoun",
    "d": "determiner",
    "i": "preposition",
    "c": "conjunction",
    "m": "number",
    "u": "interjection",
}

_TOKEN = re.compile(
    r"\{(?P<slot>[A-Za-z]+)\}|\[(?P<choice>[^\]]*)\]|(?P<word>[A-Za-z]+(?:'(?!s\b)[a-z]+)?)(?:/(?P<tag>[a-z]))?"
    r"|(?P<possessive>'s\b)|(?P<digits>\d+)|(?P<mark>[.,!?;:\"])|(?P<space> +)"
)
_LETTER = re.compile(r"[A-Za-z0-9]")
_QUOTED = re.compile(r'"[^"]*"')
_SOUNDS_LIKE_CONSONANT = ("uni", "use", "one", "eu")


@dataclass(frozen=True)
class Literal:
    """Fixed text with its truth."""

    text: str
    truth: tuple[Truth, ...] = ()


@dataclass(frozen=True)
class Slot:
    """A place that the scene fills; `capital`: with a capital first letter."""

    name: str
    capital: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several frames, all equally likely."""

    options: tuple[Frame, ...]
    cost: float  # nats


Frame = tuple["Literal | Slot | Choice", ...]


def parse(text: str, truth: WordTruth, before: str = "", **more: str) -> Frame:
    """Parse a frame.

    Args:
        text: the frame, in the language above.
        truth: what the lexicon says of a word, given the word before and the annotated tag ("" where none).
        before: the word that stands before it, where that is known.
        more: fields that hold for every word of it, e.g. `entity="hero"`, whatever the lexicon says.

    Raises:
        ValueError: text that is not in the language; `truth` may raise it for a word that it does not know.
    """
    nodes: list[Literal | Slot | Choice] = []
    characters, marks, position = "", list[Truth](), 0  # of the literal that is being read

    def close() -> None:
        nonlocal characters, marks
        if characters:
            nodes.append(Literal(characters, tuple(marks)))
        characters, marks = "", []

    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{text[position : position + 20]!r} in the frame {text!r} is not in the slot language.")
        position = match.end()
        if name := match["slot"]:
            close()
            nodes.append(Slot(name[0].lower() + name[1:], name[0].isupper()))
            before = ""
            continue
        if match["choice"] is not None:
            close()
            options = tuple(parse(option, truth, **more) for option in match["choice"].split("|"))
            nodes.append(Choice(options, math.log(len(options))))
            before = ""
            continue
        shown = match["word"] or match[0]
        span = (len(characters), len(characters) + len(shown))
        characters += shown
        if match["word"]:
            values = list((dict(truth(shown, before, match["tag"] or "")) | more).items())
            before = shown.lower()
        elif match["possessive"]:
            values = [("pos", "determiner")]
        elif match["digits"]:
            values = [("pos", "number"), ("number", "digit")]
        elif match["mark"]:
            values, before = [("pos", "punctuation")], ""
        else:
            values = []
        marks.extend((*span, name, value) for name, value in values)
    close()
    return tuple(nodes)


def words_of(frame: Frame) -> list[str]:
    """List the literal words of a frame, options included, in lower case."""
    words: list[str] = []
    for node in frame:
        if isinstance(node, Literal):
            words.extend(re.findall(r"[a-z]+(?:'(?!s\b)[a-z]+)?", node.text.lower()))
        elif isinstance(node, Choice):
            for option in node.options:
                words.extend(words_of(option))
    return words


@dataclass
class Draw:
    """Random choices of one derivation, and what they cost.

    Attributes:
        rng: where they come from.
        nats: minus the log-probability of all choices so far.
    """

    rng: random.Random
    nats: float = 0.0

    def below(self, count: int) -> int:
        """Draw a whole number from 0 to `count` - 1, all equally likely."""
        if count == 1:
            return 0
        self.nats += math.log(count)
        return int(self.rng.random() * count)

    def chance(self, probability: float) -> bool:
        """Return true with this probability, strictly between 0 and 1."""
        happens = self.rng.random() < probability
        self.nats -= math.log(probability if happens else 1 - probability)
        return happens


@dataclass
class Scene:
    """What fills the slots of one story.

    Attributes:
        draw: its random choices.
        fixed: slots that stay the same through the story.
        lists: slots drawn anew each time, without repeating until the list is used up.
    """

    draw: Draw
    fixed: Mapping[str, Frame]
    lists: Mapping[str, tuple[Frame, ...]]
    _left: dict[str, list[Frame]] = field(default_factory=dict)

    def take(self, name: str) -> Frame:
        """Take one of the list `name`, not taken before unless all have been.

        Raises:
            KeyError: no such slot.
        """
        left = self._left.get(name)
        if not left:
            left = self._left[name] = list(self.lists[name])
        return left.pop(self.draw.below(len(left)))

    def sentence(self, frame: Frame) -> Literal:
        """Fill all slots of a frame: the text with a capital first letter, and its truth."""
        pieces: list[Literal | None] = []  # None: an article, whose form depends on what follows it
        self._fill(frame, pieces)
        text, truth = "", list[Truth]()
        for i, piece in enumerate(pieces):
            if piece is None:
                following = next(p.text.lstrip() for p in pieces[i + 1 :] if p is not None and _LETTER.search(p.text))
                article = "an" if _takes_an(following) else "a"
                piece = Literal(article, ((0, len(article), "pos", "determiner"),))
            at = len(text)
            text += piece.text
            truth.extend((start + at, stop + at, name, value) for start, stop, name, value in piece.truth)
        first = 1 if text[0] == '"' else 0
        text = text[:first] + text[first].upper() + text[first + 1 :]
        truth.extend((m.start() + 1, m.end() - 1, "quote", "in") for m in _QUOTED.finditer(text))
        return Literal(text, tuple(truth))

    def _fill(self, frame: Frame, pieces: list[Literal | None]) -> None:
        for node in frame:
            if isinstance(node, Literal):
                pieces.append(node)
            elif isinstance(node, Choice):
                self.draw.nats += node.cost
                self._fill(node.options[int(self.draw.rng.random() * len(node.options))], pieces)
            elif node.name == "a":
                pieces.append(None)
            else:
                at = len(pieces)
                self._fill(self.fixed.get(node.name) or self.take(node.name), pieces)
                first = pieces[at]
                if node.capital and first is not None:
                    pieces[at] = Literal(first.text[0].upper() + first.text[1:], first.truth)


def _takes_an(following: str) -> bool:
    word = following.lower()
    return word[0] in "aeiou" and not word.startswith(_SOUNDS_LIKE_CONSONANT) or word.startswith("hour")
