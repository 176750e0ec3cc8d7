"""A model that reads and writes text: shared by everybody, seen by each only with their own edits.

The caller's edits are in force inside one `with model.session(...)` a forward pass. Sessions wait for each other, first
come, first served, so that people who ask at the same time take turns pass by pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from backend.analysis.seeds import stream
from backend.calls import recorded
from backend.edits.codes import HeldNeuron
from backend.errors import BadInput
from backend.families.kind import Other
from backend.families.transformer.model import TransformerFamily
from backend.nn.insertion.neurons import holding
from backend.nn.sampling import Sampler
from backend.types import CodeRef, Edit, Generated, Item, Sampling, Steered

MAX_CHARACTERS = 20_000
EPSILON = 0.02  # strength at which the linear estimate is taken
FIRST_ITEMS = 16  # in which a live code fires
BATCH = 32  # samples whose perplexity is measured at a time: bounds memory
SINGLE_SAMPLE = Sampling()


class TextModel:
    """One trained model as it reads and writes text, unedited and edited. Safe to share between threads."""

    def __init__(self, family: TransformerFamily, other: Other) -> None:
        """Take over an opened model.

        Args:
            family: the model.
            other: opens the base, when it is first needed.
        """
        self.spec, self.family, self._other = family.spec, family, other
        dataset = family.dataset
        self._text = lambda tokens: dataset.render(tokens)[0]  # what was written outlives the model that wrote it

    @property
    def capabilities(self) -> frozenset[str]:
        """What may be asked of this model."""
        return self.family.capabilities

    @property
    def context(self) -> int:
        """Most tokens, prompt and new ones together."""
        return self.family.context

    @cached_property
    def plain(self) -> TransformerFamily:
        """What fluency is measured by: the base model, loaded when it is first needed; itself where there is none."""
        base: TransformerFamily = self._other(self.spec.base) if self.spec.base else self.family
        return base

    # -- reading ---------------------------------------------------------------------------------------------------

    def parse(self, text: str) -> np.ndarray:
        """Read a person's text: token ids int64 `[T]`, at least one.

        Raises:
            BadInput: too long, or not readable by the model's data set.
        """
        if len(text) > MAX_CHARACTERS:
            raise BadInput(
                f"{len(text):,} characters are too many: at most {MAX_CHARACTERS:,} can be read at once. Cut the text."
            )
        ids = self.family.dataset.parse(text)
        if not len(ids):
            raise BadInput("The text is empty. Write at least one token.")
        self.family.check(ids)
        return ids

    def item(self, text: str) -> Item:
        """Return a person's text as an item without labels."""
        ids = self.parse(text)
        shown, spans = self.family.dataset.render(ids)
        return Item(0, (len(ids),), ids, shown, spans)

    def steer(self, text: str, edits: Sequence[Edit]) -> Steered:
        """Run one forward pass without and one with edits over the same text."""
        item = self.item(text)
        before = self.family.encode([item], logits=True)
        after = self.family.encode([item], edits, logits=True) if edits else before
        assert before.logits is not None and after.logits is not None
        return Steered(_log_softmax(before.logits), _log_softmax(after.logits), before.grids, after.grids)

    def token_text(self, token: int) -> str:
        """Return a token id as text."""
        return self.family.dataset.render([token])[0]

    # -- generating ------------------------------------------------------------------------------------------------

    def stream(
        self,
        prompt: str,
        sampling: Sampling = SINGLE_SAMPLE,
        *,
        edits: Sequence[Edit] = (),
        neurons: Sequence[HeldNeuron] = (),
    ) -> Iterator[list[Generated]]:
        """Generate token by token; yields all samples as far as they are after each token, their texts not rendered yet.

        Args:
            prompt: text before the new tokens.
            sampling: how.
            edits: in force; `where` counts positions from the first token of the prompt.
            neurons: held near values, for a control.

        Raises:
            BadInput: the prompt cannot be read, or nothing can follow it.
        """
        ids, model = self.parse(prompt), self.family.model
        rows = torch.from_numpy(np.repeat(ids[None], sampling.samples, 0)).to(self.family.device)
        sampler = Sampler(model.model, rows, temperature=sampling.temperature, top_k=sampling.top_k, seed=sampling.seed)
        ready = model.ready(edits)
        for _ in range(self._steps(len(ids), sampling)):
            with model.session(ready, prompt_length=len(ids)), holding(model, neurons, len(ids)):
                sampler.step()
            yield [self._generated(row, len(ids)) for row in sampler.tokens.tolist()]

    @recorded
    def generate(
        self, prompt: str, sampling: Sampling = SINGLE_SAMPLE, *, edits: Sequence[Edit] = ()
    ) -> list[Generated]:
        """Generate as `stream` does; the finished samples alone."""
        return deque(self.stream(prompt, sampling, edits=edits), maxlen=1).pop()

    def write(self, prompts: Sequence[str], sampling: Sampling, edits: Sequence[Edit] = ()) -> list[Generated]:
        """Generate in equal parts from every prompt, in one batch; the first prompts one more where it does not come out even.

        Args:
            prompts: shorter ones are padded on the left.
            sampling: how; its samples are those over all prompts together, fewer tokens are made where the context ends.
            edits: in force.
        """
        model, device = self.family.model, self.family.device
        parsed = [self.parse(prompt) for prompt in prompts]
        beginnings = [ids for i, ids in enumerate(parsed) for _ in range(len(range(i, sampling.samples, len(prompts))))]
        lengths = np.array([len(ids) for ids in beginnings])
        width = int(lengths.max())
        real = np.arange(width) >= width - lengths[:, None]  # [sample, position]: the rest is padding before the prompt
        padded = np.zeros(real.shape, dtype=np.int64)
        padded[real] = np.concatenate(beginnings)
        sampler = Sampler(
            model.model,
            torch.from_numpy(padded).to(device),
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            seed=sampling.seed,
            mask=None if real.all() else torch.from_numpy(real.astype(np.int64)).to(device),
        )
        ends = torch.from_numpy(lengths)[:, None].to(device)
        ready = model.ready(edits)
        for _ in range(min(sampling.max_new_tokens, self.context - width)):
            with model.session(ready, prompt_length=ends):
                sampler.step()
        rows = [row[width - length :] for row, length in zip(sampler.tokens.tolist(), lengths, strict=True)]
        return [self._generated(row, int(length)) for row, length in zip(rows, lengths, strict=True)]

    def cut(self, prompt: str, sampling: Sampling) -> str:
        """Return a sentence where fewer tokens than asked for fit behind the prompt; otherwise empty."""
        length = len(self.parse(prompt))
        steps = self._steps(length, sampling)
        return (
            f"Only {steps} of {sampling.max_new_tokens} new tokens were made: {self.spec.name} has a context of "
            f"{self.context} tokens, and the prompt takes {length}."
            if steps < sampling.max_new_tokens
            else ""
        )

    def _steps(self, prompt_length: int, sampling: Sampling) -> int:
        steps = min(sampling.max_new_tokens, self.context - prompt_length)
        if steps < 1:
            raise BadInput(
                f"The prompt fills the model's context of {self.context} tokens: nothing can follow. Shorten it."
            )
        return steps

    def _generated(self, tokens: list[int], prompt_length: int) -> Generated:
        return Generated(tuple(tokens), prompt_length, self._text)

    def random_edits(self, edits: Sequence[Edit], seed: int) -> list[Edit]:
        """Return the same edits with a random other live code each, for a control.

        A code that fires in none of the first items is not drawn; where no other one does, the edit keeps its own.
        """
        rng = stream(seed, "random codes")
        changed, drawn = [], dict[tuple[str, int], int]()
        for edit in edits:
            self.family.model.where(edit.site)
            others = self._live_codes[edit.site]
            others = others[others != edit.code]
            code = int(rng.choice(others)) if len(others) else edit.code
            changed.append(replace(edit, code=drawn.setdefault((edit.site, edit.code), code)))
        return changed

    @cached_property
    def _live_codes(self) -> dict[str, np.ndarray]:
        """Codes of each codebook that fire in the first items, ascending."""
        grids = self.family.encode(self.family.items(0, FIRST_ITEMS, 0)).grids
        return {site: np.unique(grid.codes[grid.codes >= 0]) for site, grid in grids.items()}

    def perplexity(self, samples: Sequence[Generated]) -> float:
        """Return the mean over samples of the perplexity of their new tokens under the base model; NaN where there is no base."""
        if not self.spec.base or not samples:
            return float("nan")
        perplexities: list[float] = []
        for first in range(0, len(samples), BATCH):
            part = samples[first : first + BATCH]
            logits = self.plain.encode(
                [Item(0, (len(g.tokens),), np.array(g.tokens, dtype=np.int64)) for g in part], logits=True
            ).logits
            assert logits is not None
            start = 0
            for g in part:
                rows = np.arange(g.prompt_length - 1, len(g.tokens) - 1)
                logp = _log_softmax(logits[start + rows])
                perplexities.append(np.exp(-logp[np.arange(len(rows)), np.array(g.tokens)[rows + 1]].mean()))
                start += len(g.tokens)
        return float(np.mean(perplexities))

    # -- one code --------------------------------------------------------------------------------------------------

    @recorded
    def effect(self, ref: CodeRef, contexts: int = 64, seed: int = 0) -> pd.DataFrame:
        """Measure what forcing a code does to the next token, measured, beside the linear estimate.

        The code is forced at one random position of each of n items of the data set, and the log-probabilities of the
        token after it are compared. The linear estimate blends the code in at a small strength and scales the change
        up to 1: what the code adds by itself, before the rest of the network answers to it.

        Returns:
            One row a token: `token_id, token, measured, linear, low, high` (nats, means over contexts; low and high: the mean
            plus and minus two standard errors of `measured`), `contexts`.
        """
        rng = stream(seed, "effect")
        items = [item for item in self.family.items(0, contexts, 1 + seed) if item.positions > 1]
        site = ref.site
        changes, slopes = [], []
        self.family.model.where(site)
        for item in items:
            place = int(rng.integers(1, item.positions))
            cut = Item(0, (place + 1,), item.payload[: place + 1])
            here = (place,)
            plain, forced, nudged = (
                self._last(cut, edits)
                for edits in (
                    (),
                    (Edit(site, ref.code, where=here),),
                    (Edit(site, ref.code, "blend", EPSILON, here),),
                )
            )
            changes.append(forced - plain)
            slopes.append((nudged - plain) / EPSILON)
        change = np.array(changes)
        error = change.std(0, ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.zeros(change.shape[1])
        mean = change.mean(0)
        return pd.DataFrame(
            {
                "token_id": np.arange(len(mean)),
                "token": [self.token_text(i) for i in range(len(mean))],
                "measured": mean,
                "linear": np.array(slopes).mean(0),
                "low": mean - 2 * error,
                "high": mean + 2 * error,
                "contexts": len(change),
            }
        )

    def _last(self, item: Item, edits: Sequence[Edit]) -> np.ndarray:
        logits = self.family.encode([item], edits, logits=True).logits
        assert logits is not None
        return _log_softmax(logits[-1:])[0]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
