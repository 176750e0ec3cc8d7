"""Codes and strengths by gradient descent: what, added to a model's codebooks, makes texts that tell of something likelier?

1. One backward pass gives the gradient of the loss by what every codebook puts out, and so by the strength of every code.
2. The most promising codes become *active*. Their strengths follow the gradient for some steps (Adam, each on other texts),
   at no less than zero and with a small price on their sum, so that codes that turn out useless leave again. More codes
   come in, and so on: a sparse code for the best direction to steer in, in the words of the codebooks.

The loss: the nats of the topic's *telling* tokens, a sum over each text; less `RIVAL` times those of texts about other topics,
up to `FARTHEST` nats more than without edits; plus `weight` times the mean over all other tokens of what keeps them fluent:
how unlikely the tokens that the edited model would write are to the unedited one (cross-entropy, less that of its own), and
`LIKELY` times the nats of the text's own. What is telling:
- of what is true of whole items (`texts_of`): the first token that is typical of the topic and the ones right before it. What
  comes after them the model knows by itself. The codes are added at new tokens.
- of what begins somewhere in an item (`texts_of_beginnings`): the token with which it begins. Texts about others go on with
  another token behind the same one; each comes once more, about it, with a beginning in that token's place. The codes are
  added once, at the token before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from backend.edits.codes import Where
from backend.families.transformer.strengths import Strengths
from backend.nn.insertion.model import CodebookTransformer
from backend.types import Item

TYPICAL = 10.0  # how much larger a share of the topic's texts than of others a typical token is in
SUPPORT = 0.08  # share of the topic's texts that it is in at least
TELLING = 8  # tokens up to the first typical one
# how many of the topic (of others up to twice that), and how many tokens of each, are looked at
TEXTS, LONGEST = 128, 96
PROMPT_LENGTHS = range(4, 10)  # tokens of a text that count as its prompt
RIVAL, FARTHEST, LIKELY = 0.5, 4.0, 0.2
TEMPERATURE = 0.7  # of the tokens that the edited model would write
BATCH = 24  # texts of the topic, and of others, that a step looks at
STEPS, RATE, PRICE = 8, 0.03, 0.02  # between two rounds
MORE = 32  # codes that a round brings
BEGINNINGS = 40  # texts of `texts_of_beginnings` that go on with it, and as many places where they could have
CONTEXT, AFTER = range(3, 33), 8  # tokens of each before and behind the telling one
ONCE: Where = (-1,)  # at the last token of the prompt


@dataclass(frozen=True)
class Texts:
    """Texts about a topic and about others.

    Attributes:
        tokens: int64 `[text, token]`.
        prompts: int64 `[text, 1]`, how many tokens count as the prompt.
        topical: bool `[text]`, about the topic.
        telling, other: bool `[text, token]`, tokens behind the prompt. Padding is neither, nor is what follows the telling
            tokens of another topic.
        where: at which positions codes are added for them.
    """

    tokens: Tensor
    prompts: Tensor
    topical: Tensor
    telling: Tensor
    other: Tensor
    where: Where


def texts_of(items: Sequence[Item], field: str, value: str) -> Texts | None:
    """Return the first items with a tag, and the first ones with each other value of it; None where nothing is typical of it.

    Args:
        items: some with each value; those without the tag are another value.
        field: name of the tag.
        value: the topic.
    """
    values, kind = np.unique([item.tags.get(field, "") for item in items], return_inverse=True)
    vocabulary = 1 + max(int(item.payload.max(initial=0)) for item in items)
    shares = np.zeros((len(values), vocabulary), dtype=np.float32)  # in how many items of each value a token occurs
    for item, number in zip(items, kind, strict=True):
        shares[number, np.unique(item.payload)] += 1
    count, every = np.bincount(kind), shares.sum(0)
    rng = np.random.default_rng(0)
    room = np.where(values == value, TEXTS, -(-TEXTS // max(1, len(values) - 1)))
    texts: list[tuple[np.ndarray, int, int, bool]] = []  # tokens, of the prompt, the first typical one, of the topic
    typical: dict[int, np.ndarray] = {}
    rivals = 0
    for item, number in zip(items, kind.tolist(), strict=True):
        prompt = int(rng.choice(PROMPT_LENGTHS))
        topical = values[number] == value
        if not room[number] or (not topical and rivals == 2 * TEXTS):
            continue
        if number not in typical:
            here = (shares[number] + 0.5) / (count[number] + 1)
            others = (every - shares[number] + 0.5) / (len(items) - count[number] + 1)
            typical[number] = (here > TYPICAL * others) & (here >= SUPPORT) & (shares[number] >= 2)
        tells = np.flatnonzero(typical[number][item.payload[prompt:LONGEST]])
        if len(tells):
            room[number] -= 1
            rivals += not topical
            texts.append((item.payload[:LONGEST], prompt, prompt + int(tells[0]), bool(topical)))
    if not any(topical for *_, topical in texts):
        return None
    longest = max(len(text) for text, *_ in texts)
    length = min(longest, TELLING + int(np.quantile([first for _, _, first, topical in texts if topical], 0.95)))
    texts = [entry for entry in texts if entry[2] < length]
    tokens, place = np.zeros((len(texts), length), dtype=np.int64), np.arange(length)
    telling, other = np.zeros((2, len(texts), length), dtype=bool)
    for row, (text, prompt, first, topical) in enumerate(texts):
        tokens[row, : min(length, len(text))] = text[:length]
        telling[row] = (place >= prompt) & (place <= first) & (place > first - TELLING)
        other[row] = (place >= prompt) & (place < (len(text) if topical else first)) & ~telling[row]
    prompts, about = np.array([[entry[1]] for entry in texts]), np.array([entry[3] for entry in texts])
    on = torch.from_numpy
    return Texts(on(tokens), on(prompts), on(about), on(telling), on(other), where=f"generated:{length}")


def texts_of_beginnings(items: Sequence[Item], truth: np.ndarray) -> Texts | None:
    """Return texts in which something begins, and texts that go on otherwise where it could have begun.

    Each of the latter comes twice: as it is, and ending with such a beginning in the place. None where it begins nowhere
    `CONTEXT.start` tokens behind the first and `AFTER` before the end of an item, or nothing else follows the tokens that it
    follows.

    Args:
        items: some, with and without it.
        truth: bool `[P]`, at which of their positions it is true.
    """
    rng = np.random.default_rng(0)
    tokens = np.concatenate([item.payload for item in items])
    place = np.concatenate([np.arange(item.positions) for item in items])
    behind = np.concatenate([item.positions - np.arange(item.positions) for item in items])
    before, was_true = np.append(0, tokens[:-1]), np.append(False, truth[:-1])
    free = ~was_true & (place > CONTEXT.start) & (behind > AFTER)  # far enough from both ends to stay inside the item
    begins = np.flatnonzero(free & truth)
    leads = np.bincount(before[begins], minlength=tokens.max() + 1)  # token -> how often it comes right before
    others = np.flatnonzero(free & ~truth & (leads[before] > 0) & ~np.isin(tokens, tokens[begins]))
    if not len(begins) or not len(others):
        return None
    odds = leads[before[others]] ** 0.5 / np.bincount(before[others])[before[others]]
    beginning = rng.choice(begins, min(BEGINNINGS, len(begins)), replace=False)
    could_have = rng.choice(others, min(BEGINNINGS, len(others)), replace=False, p=odds / odds.sum())
    rows: list[tuple[np.ndarray, int, bool]] = []  # text, tokens before the telling one, whether that tells of it
    for at in (*beginning, *could_have):
        context = min(int(rng.choice(CONTEXT)), int(place[at]) - 1)
        # the item's first token stands before every context, as its bos does where it has one
        front = np.append(tokens[at - place[at]], tokens[at - context : at])
        if truth[at]:
            rows.append((np.append(front, tokens[at : at + 1 + AFTER]), len(front), True))
        else:
            begin = tokens[rng.choice(begins[before[begins] == before[at]])]
            rows += [(np.append(front, tokens[at]), len(front), False), (np.append(front, begin), len(front), True)]
    padded = nn.utils.rnn.pad_sequence([torch.from_numpy(text) for text, *_ in rows], batch_first=True)
    prompts, about = torch.tensor([[row[1]] for row in rows]), torch.tensor([row[2] for row in rows])
    lengths = torch.tensor([[len(text)] for text, *_ in rows])
    column = torch.arange(padded.shape[1])
    return Texts(padded, prompts, about, column == prompts, (column > prompts) & (column < lengths), ONCE)


class Descent:
    """The search for better strengths.

    Attributes:
        added: the strengths so far.
    """

    def __init__(self, model: CodebookTransformer, texts: Texts, seed: int = 0) -> None:
        """Begin without any edit. Needs two bytes x `other` tokens x vocabulary.

        Args:
            model: its weights stay as they are.
            texts: what is made likelier, and what less likely.
            seed: of the texts that each step looks at.
        """
        self.model = model
        self._order = torch.Generator().manual_seed(seed)
        device = model.model.device
        parts = (texts.tokens, texts.prompts, texts.topical)
        self._tokens, self._prompts, self._topical = (x.to(device) for x in parts)
        self._telling, self._other = texts.telling.to(device)[:, 1:], texts.other.to(device)[:, 1:]
        # of each text its log-probabilities without edits, float16 [other token, vocabulary], and `_sum_telling` + FARTHEST
        plain, farthest = list[Tensor](), list[Tensor]()
        for batch in torch.arange(len(self._tokens), device=device).split(BATCH):
            with torch.no_grad(), model.session():
                logits = self._logits(batch)
            farthest.append(self._sum_telling(self._nats(logits, batch), batch) + FARTHEST)
            plain += [row[at].log_softmax(-1).half() for row, at in zip(logits, self._other[batch], strict=True)]
        self._unedited, self._farthest = plain, torch.cat(farthest)
        sample = torch.cat([self._some(self._topical), self._some(~self._topical)])
        self.added = Strengths(model, [texts.where], self._tokens[sample])

    def run(self, weight: float, rounds: int, progress: Callable[[], None] | None = None) -> None:
        """Go on from where it stands.

        Args:
            weight: of the other tokens, see the module.
            rounds: of `STEPS` steps.
            progress: called after each round.
        """
        added = self.added
        optimizer = torch.optim.Adam(added.values.values(), lr=RATE)
        slopes = self._slopes(weight)
        for _ in range(rounds):
            added.wake(slopes, MORE)
            slopes = dict.fromkeys(slopes, torch.zeros(()))
            for _ in range(STEPS):
                for name, slope in self._slopes(weight).items():
                    slopes[name] = slopes[name] + slope
                    added.values[name].grad = (slope + PRICE) * added.active[name]
                optimizer.step()
                added.settle()
            added.doze()
            if progress:
                progress()

    def _slopes(self, weight: float) -> dict[str, Tensor]:
        """Return the slopes of the loss of some texts by the strengths."""
        batch = torch.cat([self._some(self._topical), self._some(~self._topical)])
        return self.added.slopes(lambda: self._loss(batch, weight), self._prompts[batch])

    def _some(self, which: Tensor) -> Tensor:
        places = which.nonzero()[:, 0]
        return places[torch.randperm(len(places), generator=self._order)[:BATCH].to(places.device)]

    def _loss(self, batch: Tensor, weight: float) -> Tensor:
        """Return the loss of the module, a mean over these texts."""
        logits = self._logits(batch)
        nats, topical, other = self._nats(logits, batch), self._topical[batch], self._other[batch]
        telling = self._sum_telling(nats, batch)
        rivals = torch.minimum(telling, self._farthest[batch])[~topical]
        written = (logits[other] / TEMPERATURE).softmax(-1)
        plain = torch.cat([self._unedited[i] for i in batch.tolist()])
        fluent = LIKELY * nats[other] - (written * plain).sum(-1)
        return (
            telling[topical].mean()
            - RIVAL * rivals.sum() / max(1, len(rivals))
            + weight * fluent.sum() / max(1, len(fluent))
        )

    def _logits(self, batch: Tensor) -> Tensor:
        """Return the logits of every token but the first, `[text, token - 1, vocabulary]`."""
        return self.model(self._tokens[batch], use_cache=False).logits[:, :-1].float()

    def _nats(self, logits: Tensor, batch: Tensor) -> Tensor:
        """Return the nats of every token but the first, `[text, token - 1]`."""
        return nn.functional.cross_entropy(logits.transpose(1, 2), self._tokens[batch, 1:], reduction="none")

    def _sum_telling(self, nats: Tensor, batch: Tensor) -> Tensor:
        """Add up the nats of the telling tokens of each text, `[text]`."""
        return (nats * self._telling[batch]).sum(1)
