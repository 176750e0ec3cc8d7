"""Codes for slots by greedy coordinate descent: which forced codes make texts that tell of something likelier?

After the greedy coordinate gradient of Zou et al., 2023 (there over the tokens of a prompt), over the slots of codebooks:
1. One backward pass gives the gradient of the loss by what every codebook puts out, and so, to first order, what every code
   in every slot would change.
2. The most promising changes, one a slot, are tried together, then the better half of them, and so on down to one; at last
   a few one by one. What lowers the loss stays. Until nothing does.

The loss: the nats of the topic's *telling* tokens, a sum over each text; less `RIVAL` times those of texts about other topics,
up to `FARTHEST` nats more than without edits; plus `weight` times the mean nats of all other tokens, which keeps them
fluent. What is telling:
- of what is true of whole items (`texts_of`): the first token that is typical of the topic and the ones right before it. What
  comes after them the model knows by itself. The codes are forced at new tokens.
- of what begins somewhere in an item (`texts_of_beginnings`): the token with which it begins. Texts about others go on with
  another token behind the same one; each comes once more, about it, with a beginning in that token's place. The codes are
  forced once, at the token before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from backend.edits import Where
from backend.nn.insertion import CodebookTransformer
from backend.types import Edit, Item

TYPICAL = 10.0  # how much larger a share of the topic's texts than of others a typical token is in
SUPPORT = 0.08  # share of the topic's texts that it is in at least
TELLING = 8  # tokens up to the first typical one
TEXTS, LONGEST = 32, 96  # how many of the topic, and of others, and how many tokens of each, are looked at
PROMPT_LENGTHS = range(4, 10)  # tokens of a text that count as its prompt
RIVAL, FARTHEST = 0.5, 4.0
WIDTH, PER_SITE, ONE_BY_ONE = 16, 4, 6  # changes tried together, of one codebook at most, and one by one
LEAST = 0.01  # nats that a change must gain
ROUNDS = 40
BEGINNINGS = 40  # texts of `texts_of_beginnings` that go on with it, and as many places where they could have
CONTEXT, AFTER = range(3, 33), 8  # tokens of each before and behind the telling one
ONCE: Where = (-1,)  # at the last token of the prompt
Slot = tuple[str, int]  # codebook and slot


@dataclass(frozen=True)
class Texts:
    """Texts about a topic and about others.

    Attributes:
        tokens: int64 `[text, token]`.
        prompts: int64 `[text, 1]`, how many tokens count as the prompt.
        own: bool `[text]`, about the topic.
        telling, other: bool `[text, token]`, tokens behind the prompt. Padding is neither, nor is what follows the telling
            tokens of another topic.
        where: at which positions codes are forced for them.
    """

    tokens: Tensor
    prompts: Tensor
    own: Tensor
    telling: Tensor
    other: Tensor
    where: Where


def texts_of(items: Sequence[Item], field: str, value: str) -> Texts | None:
    """The first items with a tag, and the first ones with each other value of it; None where nothing is typical of it.

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
    found: list[tuple[np.ndarray, int, int, bool]] = []  # tokens, of the prompt, the first typical one, of the topic
    typical: dict[int, np.ndarray] = {}
    rivals = 0
    for item, number in zip(items, kind.tolist(), strict=True):
        prompt = int(rng.choice(PROMPT_LENGTHS))
        topical = values[number] == value
        if not room[number] or (not topical and rivals == 2 * TEXTS):
            continue
        if number not in typical:
            own = (shares[number] + 0.5) / (count[number] + 1)
            others = (every - shares[number] + 0.5) / (len(items) - count[number] + 1)
            typical[number] = (own > TYPICAL * others) & (own >= SUPPORT) & (shares[number] >= 2)
        tells = np.flatnonzero(typical[number][item.payload[prompt:LONGEST]])
        if len(tells):
            room[number] -= 1
            rivals += not topical
            found.append((item.payload[:LONGEST], prompt, prompt + int(tells[0]), bool(topical)))
    if not any(topical for *_, topical in found):
        return None
    longest = max(len(text) for text, *_ in found)
    length = min(longest, TELLING + int(np.quantile([first for _, _, first, topical in found if topical], 0.95)))
    found = [one for one in found if one[2] < length]
    tokens, place = np.zeros((len(found), length), dtype=np.int64), np.arange(length)
    telling, other = np.zeros((2, len(found), length), dtype=bool)
    for row, (text, prompt, first, topical) in enumerate(found):
        tokens[row, : min(length, len(text))] = text[:length]
        telling[row] = (place >= prompt) & (place <= first) & (place > first - TELLING)
        other[row] = (place >= prompt) & (place < (len(text) if topical else first)) & ~telling[row]
    prompts, about = np.array([[one[1]] for one in found]), np.array([one[3] for one in found])
    on = torch.from_numpy
    return Texts(on(tokens), on(prompts), on(about), on(telling), on(other), where=f"generated:{length}")


def texts_of_beginnings(items: Sequence[Item], truth: np.ndarray) -> Texts | None:
    """Texts in which something begins, and texts that go on otherwise where it could have begun.

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
    own = rng.choice(begins, min(BEGINNINGS, len(begins)), replace=False)
    could_have = rng.choice(others, min(BEGINNINGS, len(others)), replace=False, p=odds / odds.sum())
    found: list[tuple[np.ndarray, int, bool]] = []  # text, tokens before the telling one, whether that tells of it
    for at in (*own, *could_have):
        context = min(int(rng.choice(CONTEXT)), int(place[at]) - 1)
        # the item's first token stands before every context, as its bos does where it has one
        front = np.append(tokens[at - place[at]], tokens[at - context : at])
        if truth[at]:
            found.append((np.append(front, tokens[at : at + 1 + AFTER]), len(front), True))
        else:
            begin = tokens[rng.choice(begins[before[begins] == before[at]])]
            found += [(np.append(front, tokens[at]), len(front), False), (np.append(front, begin), len(front), True)]
    texts = nn.utils.rnn.pad_sequence([torch.from_numpy(text) for text, *_ in found], batch_first=True)
    prompts, about = torch.tensor([[one[1]] for one in found]), torch.tensor([one[2] for one in found])
    lengths = torch.tensor([[len(text)] for text, *_ in found])
    column = torch.arange(texts.shape[1])
    return Texts(texts, prompts, about, column == prompts, (column > prompts) & (column < lengths), ONCE)


class Descent:
    """The codes that are forced so far, and the search for more.

    Attributes:
        forced: codebook and slot -> code.
    """

    def __init__(self, model: CodebookTransformer, texts: Texts) -> None:
        """Begin without any edit."""
        self.model, self.forced, self.where = model, dict[Slot, int](), texts.where
        device = model.model.device
        self._tokens, self._prompts, self._own = (x.to(device) for x in (texts.tokens, texts.prompts, texts.own))
        self._telling, self._other = texts.telling.to(device)[:, 1:], texts.other.to(device)[:, 1:]
        with torch.no_grad(), model.session():
            self._farthest = self._telling_nats(self._nats()) + FARTHEST

    def edits(self) -> tuple[Edit, ...]:
        """What is forced, as edits."""
        slots = {info.site: info.slots for info in self.model.infos()}
        return tuple(
            Edit(site, code, where=self.where, slot=slot if slots[site] > 1 else None)
            for (site, slot), code in self.forced.items()
        )

    def run(self, weight: float, progress: Callable[[], None] | None = None) -> float:
        """Go on from where it stands, for another weight of the other tokens; returns the loss.

        Args:
            weight: see the module.
            progress: called after each round.
        """
        failed = set[tuple[Slot, int]]()
        loss = self._loss(weight)
        for _ in range(ROUNDS):
            begun = dict(self.forced)
            changes = self._promising(weight, failed)
            count = len(changes)
            while count and self.forced == begun:
                loss = self._try(changes[:count], weight, loss)
                if self.forced == begun and count == 1:
                    failed.add(changes[0])
                count //= 2
            if self.forced == begun:
                for change in changes[1:ONE_BY_ONE]:
                    before, loss = loss, self._try([change], weight, loss)
                    if loss == before:
                        failed.add(change)
            if progress:
                progress()
            if self.forced == begun:
                break
        return loss

    def _try(self, changes: Sequence[tuple[Slot, int]], weight: float, loss: float) -> float:
        """The loss with these changes if it is lower, and they stay; else as before."""
        before = dict(self.forced)
        self.forced.update(changes)
        if (changed := self._loss(weight)) < loss - LEAST:
            return changed
        self.forced = before
        return loss

    @torch.no_grad()
    def _loss(self, weight: float) -> float:
        with self.model.session(self.edits(), prompt_length=self._prompts):
            return float(self._of(self._nats(), weight))

    def _of(self, nats: Tensor, weight: float) -> Tensor:
        telling = torch.minimum(self._telling_nats(nats), torch.where(self._own, torch.inf, self._farthest))
        rivals = telling[~self._own].sum() / (~self._own).sum().clamp_min(1)
        other = (nats * self._other).sum() / self._other.sum().clamp_min(1)
        return telling[self._own].mean() - RIVAL * rivals + weight * other

    def _telling_nats(self, nats: Tensor) -> Tensor:
        return (nats * self._telling).sum(1)

    def _nats(self) -> Tensor:
        """Of every token but the first, `[text, token - 1]`."""
        logits = self.model(self._tokens, use_cache=False).logits[:, :-1].float()
        return nn.functional.cross_entropy(logits.transpose(1, 2), self._tokens[:, 1:], reduction="none")

    def _promising(self, weight: float, failed: set[tuple[Slot, int]]) -> list[tuple[Slot, int]]:
        """The most promising changes, one a slot and `PER_SITE` a codebook, best first."""
        with (
            torch.enable_grad(),
            self.model.session(self.edits(), prompt_length=self._prompts, probe=True) as session,
        ):
            loss = self._of(self._nats(), weight)
            at = self.model.rows(self.where, self._prompts)  # bool [row], where codes are forced
        slopes = torch.autograd.grad(loss, [probe.added for probe in session.probes.values()])
        found: list[tuple[float, Slot, int]] = []
        for (name, probe), slope in zip(session.probes.items(), slopes, strict=True):
            layer = self.model.layer(name)
            share = layer.config.k if layer.config.combine == "mean" else 1
            rows = slope.float().reshape(len(at), layer.config.groups, -1).transpose(0, 1)[:, at]
            by_code = rows @ layer.table.detach().float().transpose(1, 2) / share  # [group, row, code]
            now = by_code.gather(2, probe.ids[:, at]).sum(1)  # [group, slot]
            best = by_code.sum(1).topk(min(2, layer.config.codes), largest=False)
            for group, site in enumerate(self.model.sites(name)):
                for value, code in zip(best.values[group].tolist(), best.indices[group].tolist(), strict=True):
                    found += [(value - held, (site, i), code) for i, held in enumerate(now[group].tolist())]
        chosen: dict[Slot, int] = {}
        for change, slot, code in sorted(found):
            done = (slot, code) in failed or self.forced.get(slot) == code
            full = sum(site == slot[0] for site, _ in chosen) >= PER_SITE
            if change < 0 and slot not in chosen and not done and not full:
                chosen[slot] = code
            if len(chosen) == WIDTH:
                break
        return list(chosen.items())
