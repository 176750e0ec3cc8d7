"""Documents with the truth about their characters, and how they become items of tokens.

    corpus  ->  document (text, marks)  ->  tokenizer  ->  item (ids, spans, a label of every field at every token)

A corpus either makes documents without end, and other seeds make others, or has a number of them: then it is cut in two by
a hash of the documents' names, and seeds from `HELD_OUT_SEED` on shuffle the held-out part, seeds below it the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from backend.analysis.seeds import HELD_OUT_SEED
from backend.errors import BadInput
from backend.types import Item, Progress

if TYPE_CHECKING:
    from backend.data.texts.bpe import TextTokenizer  # takes a while to import

END_OF_TEXT = "<|endoftext|>"  # stands between documents
HELD_OUT_SHARE = 0.1
TRAINING_SEED = 1  # of the documents that are trained on; builds show those of seed 0
TRAINING_TOKENS = 5_000_000
_BATCH = 256  # documents tokenised at a time


@dataclass(frozen=True)
class Mark:
    """Something that is true of a stretch of text.

    Attributes:
        start, stop: characters `[start, stop)` of the document.
        field: what kind of truth, e.g. `topic`.
        value: the truth, e.g. `dragon`.
    """

    start: int
    stop: int
    field: str
    value: str


@dataclass(frozen=True)
class Document:
    """One text with its truth.

    Attributes:
        text: the exact text.
        marks: truth about stretches of it.
        tags: truth about the whole of it.
        nats: minus the log-probability of the choices that made it; None where nobody knows.
    """

    text: str
    marks: Sequence[Mark] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    nats: float | None = None


class Corpus(Protocol):
    """Where documents come from."""

    def document(self, index: int, seed: int) -> Document:
        """Return the document of that number, from 0; it depends on `index` and `seed` alone.

        Raises:
            BadInput: the corpus has no such document.
        """
        ...

    def count(self, seed: int) -> int | None:
        """Count the documents of a seed; None: without end."""
        ...


class EndlessCorpus:
    """As many documents as anybody asks for, made by a generator."""

    def __init__(self, document: Callable[[int, int], Document]) -> None:
        """Take what makes the document of an index and a seed."""
        self.document = document

    def count(self, seed: int) -> None:
        """See `Corpus.count`: without end."""
        return None


class FiniteCorpus:
    """A known number of documents, a tenth of them held out; they are looked for when one is first asked for."""

    def __init__(self, names: Callable[[], Iterable[str]], read: Callable[[int], Document], nothing: str) -> None:
        """Take ways to find and to read the documents.

        Args:
            names: finds one per document, of any length; documents of the same name are never in different parts.
            read: number of a name -> its document.
            nothing: what to tell a person where there are none.
        """
        self._names = names
        self._read = read
        self._nothing = nothing
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def document(self, index: int, seed: int) -> Document:
        """See `Corpus.document`."""
        order = self._order(seed)
        if not 0 <= index < len(order):
            raise BadInput(f"There is no document {index}: seed {seed} has {len(order)}, counted from 0.")
        return self._read(int(order[index]))

    def count(self, seed: int) -> int:
        """See `Corpus.count`."""
        return len(self._order(seed))

    @cached_property
    def _held_out(self) -> np.ndarray:
        """bool `[documents]`."""
        shares = [_share(name) for name in self._names()]
        if not shares:
            raise BadInput(self._nothing)
        return _held_out(np.array(shares))

    def _shuffled(self, seed: int) -> np.ndarray:
        part = np.flatnonzero(self._held_out == (seed >= HELD_OUT_SEED))
        return np.random.default_rng(seed).permutation(part)


def _share(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _held_out(shares: np.ndarray) -> np.ndarray:
    """Say which are in the held-out part, bool; where there are at least two names, neither part is empty."""
    # the smallest is always held out and the largest never is, however few there are
    return ((shares < HELD_OUT_SHARE) | (shares == shares.min())) & (shares < shares.max())


@dataclass(frozen=True)
class TokenStream:
    """Documents as one line of tokens, each with the bos token before it.

    Attributes:
        ids: uint16 or int32 `[tokens]`.
        starts: int64 `[any]`: where documents begin, and where the rest of a long one does.
    """

    ids: np.ndarray
    starts: np.ndarray

    def blocks(self, rows: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Draw tokens, int64 `[rows, length]`: each row begins at one of the starts; behind the last comes the first."""
        places = rng.choice(self.starts, rows)[:, None] + np.arange(length)
        return self.ids[places % len(self.ids)].astype(np.int64)


class TextItems:
    """The documents of a corpus as items of tokens: the data set of every text model but the finite-state machines."""

    def __init__(self, corpus: Corpus, tokenizer: TextTokenizer, length: int = 256) -> None:
        """Put a corpus and a tokenizer together.

        Args:
            corpus: where documents come from.
            tokenizer: what cuts them.
            length: tokens of an item at most, the bos token included.
        """
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.length = length
        self._stream: TokenStream | None = None

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return self.tokenizer.vocabulary

    @property
    def bos(self) -> int:
        """Id of the token in front of every item; 0 where the tokenizer has none."""
        return self.tokenizer.bos or 0

    def items(self, start: int, stop: int, seed: int) -> list[Item]:
        """Return items `start` to `stop`, as far as the corpus goes: item i is document i, cut at `length` tokens.

        A token has the value of a mark that covers its first character that is not white space (of a token of white space
        its first; of one that continues a character, that character); of several marks of a field, the shortest one's.

        Raises:
            BadInput: the corpus has nothing at all for this seed.
        """
        count = self.corpus.count(seed)
        if count == 0:
            part = "held out" if seed >= HELD_OUT_SEED else "to train on and to show"
            raise BadInput(
                f"The corpus has no document {part}. Give it more text: at least two documents that differ (copies of one "
                "text stay together)."
            )
        documents = [self.corpus.document(i, seed) for i in range(start, stop if count is None else min(stop, count))]
        encoded = self.tokenizer.encode([document.text for document in documents])
        items = []
        for index, document, (ids, spans) in zip(range(start, stop), documents, encoded, strict=False):
            ids, spans = ids[: self.length], spans[: self.length]
            text = document.text[: int(spans[-1, 1])] if len(spans) else ""
            labels = token_labels(document, spans)
            items.append(Item(index, (len(ids),), ids, text, spans, labels, document.tags))
        return items

    def parse(self, text: str) -> np.ndarray:
        """Read text as token ids int64 `[T]` with the bos token before them; `BadInput` where it is not Unicode text."""
        return self.tokenizer.ids([text])[0]

    def render(self, ids: Sequence[int] | np.ndarray) -> tuple[str, np.ndarray]:
        """Write token ids as text; also return character spans that tile it, int64 `[T, 2]`."""
        return self.tokenizer.render(ids)

    # -- training --------------------------------------------------------------------------------------------------

    def prepare(self, tokens: int = TRAINING_TOKENS, progress: Progress | None = None) -> TokenStream:
        """Tokenise documents to train on and keep them in memory; `blocks` are taken from these from now on.

        Args:
            tokens: stop when there are so many; a finite corpus may end before.
            progress: called with (what, tokens done, tokens).

        Raises:
            BadInput: the corpus has no documents to train on.
        """
        count = self.corpus.count(TRAINING_SEED)
        parts: list[np.ndarray] = []
        gathered = 0
        kind = np.uint16 if self.vocabulary <= 1 << 16 else np.int32  # all tokens stay in memory
        while gathered < tokens and (count is None or len(parts) < count):
            stop = len(parts) + _BATCH if count is None else min(len(parts) + _BATCH, count)
            texts = [self.corpus.document(i, TRAINING_SEED).text for i in range(len(parts), stop)]
            parts += [ids.astype(kind) for ids in self.tokenizer.ids(texts)]
            gathered = sum(map(len, parts[-len(texts) :])) + gathered
            if progress:
                progress("reading the corpus", min(gathered, tokens), tokens)
        if not gathered:
            raise BadInput("The corpus has no document to train on. Give it more text.")
        firsts = np.cumsum([0, *map(len, parts[:-1])])
        # a document longer than a row is met whole: it begins once more behind every `length` of its tokens
        starts = np.concatenate(
            [first + np.arange(0, max(1, len(part)), self.length) for first, part in zip(firsts, parts, strict=True)]
        )
        self._stream = TokenStream(np.concatenate(parts), starts.astype(np.int64))
        return self._stream

    def blocks(self, rows: int, length: int, rng: np.random.Generator, progress: Progress | None = None) -> np.ndarray:
        """Draw tokens to train on, int64 `[rows, length]`; the first call prepares them, see `prepare`."""
        return (self._stream or self.prepare(progress=progress)).blocks(rows, length, rng)


def token_labels(document: Document, spans: np.ndarray) -> dict[str, list[str]]:
    """Find the truth at every token: field -> one value per token, empty where no mark covers it; see `TextItems.items`."""
    rows: dict[str, int] = {}
    values = {"": 0}
    length = len(document.text)
    marks = sorted(document.marks, key=lambda mark: mark.start - mark.stop)  # longest first: the innermost paints last
    for mark in marks:
        rows.setdefault(mark.field, len(rows))
        values.setdefault(mark.value, len(values))
    painted = np.zeros((len(rows), length + 1), dtype=np.int32)  # the last column: a token with no character
    for mark in marks:
        painted[rows[mark.field], mark.start : min(mark.stop, length)] = values[mark.value]
    names = np.array(list(values), dtype=object)
    deciding = _deciding_characters(document.text, spans)
    return {name: names[painted[row, deciding]].tolist() for name, row in rows.items()}


def _deciding_characters(text: str, spans: np.ndarray) -> np.ndarray:
    """Find the character that gives each token its labels, int64 `[T]`; -1 for a token before any character."""
    visible = np.flatnonzero([not character.isspace() for character in text])
    following = np.append(visible, len(text))[np.searchsorted(visible, spans[:, 0])]
    # a token of white space alone is decided by its first character
    first = np.where(following < spans[:, 1], following, spans[:, 0])
    # an empty span continues a character that an earlier token holds: that one, just before it
    return np.where(spans[:, 0] < spans[:, 1], first, spans[:, 0] - 1)
