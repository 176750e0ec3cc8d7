"""A live model: loaded once, shared by everybody, seen by each only with their own edits.

The caller's edits are in force inside one `with model.session(...)` a forward pass. Sessions wait for each other, first
come, first served, so that people who ask at the same time take turns pass by pass.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from backend import catalog
from backend.answers.live import Arm, Belief, Comparison, Lens
from backend.answers.stored import tokens_of
from backend.calls import recorded
from backend.edits.codes import HeldNeuron
from backend.errors import BadInput, Unsupported
from backend.families import open_family
from backend.families.transformer import beliefs, conditions
from backend.families.transformer.finding import Found, find_edits
from backend.families.transformer.model import TransformerFamily
from backend.nn.insertion.neurons import holding
from backend.nn.sampling import Sampler
from backend.types import CodeRef, Edit, Generated, Item, ModelSpec, Progress, Sampling, Steered

MAX_CHARACTERS = 20_000
EPSILON = 0.02  # strength at which the linear estimate is taken
BATCH = 32  # samples whose perplexity is measured at a time: bounds memory
ONE, TWENTY = Sampling(), Sampling(samples=20)


class LiveModel:
    """One trained model, ready to read a person's text, to be edited and to generate. Safe to share between threads."""

    def __init__(self, spec: ModelSpec, data_dir: Path, device: str = "cpu") -> None:
        """Load the model.

        Raises:
            Unsupported: it does not read text.
            CheckpointError: its weights cannot be used.
        """
        self.spec = spec
        self._data_dir = data_dir
        family = open_family(spec, data_dir, device)
        if not isinstance(family, TransformerFamily):
            raise Unsupported(f"{spec.name} reads no text.")
        self.family = family
        self._base: LiveModel | None = None
        self._loading = threading.Lock()

    @property
    def context(self) -> int:
        """Most tokens, prompt and new ones together."""
        return self.family.context

    @property
    def plain(self) -> TransformerFamily:
        """What fluency is measured by: the base model, loaded when it is first needed; itself where there is none."""
        if not self.spec.base:
            return self.family
        with self._loading:
            if self._base is None:
                spec = catalog.find(self.spec.base, self._data_dir)
                self._base = LiveModel(spec, self._data_dir, self.family.device.type)
        return self._base.family

    # -- reading ---------------------------------------------------------------------------------------------------

    def parse(self, text: str) -> np.ndarray:
        """A person's text -> token ids int64 `[T]`, at least one.

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
        """A person's text as an item without labels."""
        ids = self.parse(text)
        shown, spans = self.family.dataset.render(ids)
        return Item(0, (len(ids),), ids, shown, spans)

    @recorded
    def lens(self, text: str, edits: Sequence[Edit] = (), top: int = 10) -> Lens:
        """Which codes fire where in a text, and what comes next.

        Args:
            text: read by the model's data set.
            edits: in force; the unedited codes come beside.
            top: how many next tokens.
        """
        item = self.item(text)
        steered = self.steer(text, edits)
        p, q = np.exp(steered.before.astype(np.float64)), np.exp(steered.after.astype(np.float64))
        kl = (q * (steered.after - steered.before)).sum(-1)
        order = np.argsort(-np.maximum(p[-1], q[-1]), kind="stable")[:top]
        following = pd.DataFrame(
            {
                "token_id": order,
                "token": [self.token_text(int(i)) for i in order],
                "before": p[-1][order],
                "after": q[-1][order],
            }
        )
        changed = {
            site: int((np.sort(grid.codes) != np.sort(steered.grids_before[site].codes)).any(1).sum())
            for site, grid in steered.grids_after.items()
        }
        return Lens(
            item.text,
            item.payload,
            tokens_of(item),
            steered.grids_after,
            steered.grids_before,
            changed,
            np.maximum(kl, 0.0),
            following,
        )

    def steer(self, text: str, edits: Sequence[Edit]) -> Steered:
        """One forward pass without and one with edits over the same text."""
        item = self.item(text)
        before = self.family.encode([item], logits=True)
        after = self.family.encode([item], edits, logits=True) if edits else before
        assert before.logits is not None and after.logits is not None
        return Steered(_log_softmax(before.logits), _log_softmax(after.logits), before.grids, after.grids)

    def token_text(self, token: int) -> str:
        """A token id as text."""
        return self.family.dataset.render([token])[0]

    # -- generating ------------------------------------------------------------------------------------------------

    def stream(
        self,
        prompt: str,
        sampling: Sampling = ONE,
        *,
        edits: Sequence[Edit] = (),
        neurons: Sequence[HeldNeuron] = (),
    ) -> Iterator[list[Generated]]:
        """Generate token by token; yields all samples as far as they are after each token.

        Args:
            prompt: text before the new tokens.
            sampling: how.
            edits: in force; `where` counts positions from the first token of the prompt.
            neurons: held near values, for a control.

        Raises:
            BadInput: the prompt cannot be read, or nothing can follow it.
        """
        ids = self.parse(prompt)
        rows = torch.from_numpy(np.repeat(ids[None], sampling.samples, 0)).to(self.family.device)
        sampler = Sampler(
            self.family.model.model,
            rows,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            seed=sampling.seed,
        )
        for _ in range(self._steps(len(ids), sampling)):
            model = self.family.model
            with model.session(edits, prompt_length=len(ids)), holding(model, neurons, len(ids)):
                sampler.step()
            yield [self._generated(row, len(ids)) for row in sampler.tokens.tolist()]

    @recorded
    def generate(self, prompt: str, sampling: Sampling = ONE, *, edits: Sequence[Edit] = ()) -> list[Generated]:
        """As `stream`, the finished samples alone."""
        made: list[Generated] = []
        for so_far in self.stream(prompt, sampling, edits=edits):
            made = so_far
        return made

    def cut(self, prompt: str, sampling: Sampling) -> str:
        """A sentence where fewer tokens than asked for fit behind the prompt; otherwise empty."""
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
        return Generated(self.family.dataset.render(tokens)[0], tuple(tokens), prompt_length)

    @recorded
    def compare(
        self,
        prompt: str,
        edits: Sequence[Edit],
        sampling: Sampling = TWENTY,
        *,
        success: str = "",
        topic: tuple[str, str] | None = None,
        dose: Sequence[float] = (),
        dose_samples: int = 20,
        progress: Progress | None = None,
    ) -> Comparison:
        """Unsteered, steered, and the controls: same prompt, same seed; see `backend.families.transformer.conditions`.

        Args:
            prompt: text before the new tokens.
            edits: in force in the steered arm.
            sampling: the same in all arms.
            success: an RE2 pattern; a sample succeeds if it matches in the new text.
            topic: field and value; where there is no pattern, a sample succeeds if its new text has them by the data's own
                truth. It also says what the best neuron is looked for by.
            dose: shares of their strength, 0 to 1.5, that all edits are tried at.
            dose_samples: samples of each strength.
            progress: called with (what, tokens done, tokens).

        Raises:
            BadInput: new text cannot be judged so.
        """
        found = list(
            self.arms(
                prompt,
                edits,
                sampling,
                success=success,
                topic=topic,
                dose=dose,
                dose_samples=dose_samples,
                progress=progress,
            )
        )
        cut = self.cut(prompt, sampling)
        return conditions.comparison(found, bool(success or topic), [cut] if cut else [])

    def arms(
        self,
        prompt: str,
        edits: Sequence[Edit],
        sampling: Sampling,
        *,
        success: str = "",
        topic: tuple[str, str] | None = None,
        dose: Sequence[float] = (),
        dose_samples: int = 20,
        done: Sequence[Arm] = (),
        progress: Progress | None = None,
    ) -> Iterator[Arm]:
        """What `compare` compares, each as soon as it is finished; those in `done` are not made again."""
        plan = conditions.Plan(
            prompt, tuple(edits), sampling, conditions.Goal(success, topic), tuple(dose), dose_samples
        )
        return conditions.arms(self, plan, done, progress)

    @recorded
    def find_codes(self, field: str, value: str, *, success: str = "", **options: Any) -> Found:
        """The codes that stand for something, and the edits that bring it about.

        Args:
            field: name of a tag of whole items or of a label of positions.
            value: what it is where it is true.
            success: an RE2 pattern that says what new text is a success; empty: the data's own truth.
            options: of `backend.families.transformer.finding.find_edits`.

        Raises:
            BadInput: it is true nowhere, or new text cannot be judged so.
        """
        return find_edits(self, conditions.Goal(success, (field, value)), **options)

    def random_edits(self, edits: Sequence[Edit], seed: int) -> list[Edit]:
        """The same edits with a random other code each, for a control; live codes of the first items are preferred."""
        rng = np.random.default_rng((seed, 13))
        grids = self.family.encode(self.family.items(0, 16, 0)).grids
        changed, drawn = [], dict[tuple[str, int], int]()
        for edit in edits:
            self.family.model.where(edit.site)
            live = np.unique(grids[edit.site].codes)
            live = live[(live >= 0) & (live != edit.code)]
            code = int(rng.choice(live)) if len(live) else edit.code
            changed.append(replace(edit, code=drawn.setdefault((edit.site, edit.code), code)))
        return changed

    def perplexity(self, made: Sequence[Generated]) -> float:
        """Mean over samples of the perplexity of their new tokens under the base model; NaN where there is no base."""
        if not self.spec.base or not made:
            return float("nan")
        found: list[float] = []
        for first in range(0, len(made), BATCH):
            part = made[first : first + BATCH]
            logits = self.plain.encode(
                [Item(0, (len(g.tokens),), np.array(g.tokens, dtype=np.int64)) for g in part], logits=True
            ).logits
            assert logits is not None
            start = 0
            for g in part:
                rows = np.arange(g.prompt_length - 1, len(g.tokens) - 1)
                logp = _log_softmax(logits[start + rows])
                found.append(np.exp(-logp[np.arange(len(rows)), np.array(g.tokens)[rows + 1]].mean()))
                start += len(g.tokens)
        return float(np.mean(found))

    # -- one code --------------------------------------------------------------------------------------------------

    @recorded
    def effect(self, ref: CodeRef, contexts: int = 64, seed: int = 0) -> pd.DataFrame:
        """What forcing a code does to the next token, measured, beside the linear estimate.

        The code is forced at one random position of each of n items of the data set, and the log-probabilities of the
        token after it are compared. The linear estimate blends the code in at a small strength and scales the change
        up to 1: what the code adds by itself, before the rest of the network answers to it.

        Returns:
            One row a token: `token_id, token, measured, linear, low, high` (nats, means over contexts; low and high: the mean
            plus and minus two standard errors of `measured`), `contexts`.
        """
        rng = np.random.default_rng((seed, 17))
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

    # -- finite-state machines ---------------------------------------------------------------------------------------

    @recorded
    def believe(
        self,
        walk: str,
        target: str,
        *,
        at: int = -1,
        places: Sequence[str] = ("mlp",),
        layers: Sequence[int] = (),
        strength: float = 1.0,
        hold: bool = True,
        samples: int = 20,
        new_states: int = 5,
        seed: int = 0,
    ) -> Belief:
        """It is in state A, make it believe B; see `backend.families.transformer.beliefs.believe`."""
        wish = beliefs.Wish(target, at, tuple(places), tuple(layers), strength, hold)
        return beliefs.believe(self.family, walk, wish, samples=samples, new_states=new_states, seed=seed)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
