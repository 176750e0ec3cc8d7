"""Strengths by practice: edits write samples, and what made the ones that succeed likelier is strengthened.

A descent (`descent`) makes *given* texts likelier. What the edited model then writes itself can go wrong elsewhere: it
tells of another topic first, or goes back to one. Practice looks at just that. Each step

1. writes samples with the edits as they are, and judges them;
2. rewards each: 1 where it succeeds, less `weight` times how unlikely its new tokens are to the base model (mean nats; where
   there is no base, to the model without edits);
3. follows the policy gradient (Williams, 1992): the log-probability of every sample times how much better than the mean it
   did; and, without the noise of sampling, the gradient of how unlikely the next tokens are to the base;
4. lets `weight` grow where the samples are less fluent than `FLUENCY` allows, and fall where they are more; where nearly all
   samples succeed, all strengths become a little smaller instead: edits should be no stronger than they need to be.

Besides the tokens that the edits act at, codes may be added weakly at all new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from backend.families.transformer.strengths import Slopes, Strengths
from backend.families.transformer.text_model import TextModel
from backend.types import Edit, Sampling

RATE = 0.02  # of Adam, in units of `Strengths`
PRICE = 0.05  # what every step takes from each strength, as a share of the rate
BETAS = (0.8, 0.95)
MORE, EVERY = 16, 8  # codes that become active, and steps between two such times
FLUENCY = 1.3  # ratio of perplexities under the base that is aimed at
WEIGHT, LIGHTEST, HEAVIEST = 1.5, 0.1, 12.0  # at the start; its bounds
PULL = 1.5  # how fast the weight follows the ratio
STRONGEST = 0.1  # how far off the ratio is taken to be at most: one odd sample can double it
FAR = 1.0  # nats above the mean beyond which a sample costs no more
MASTERED = 0.95  # share of successes from which a step makes all strengths smaller
SMALLER = 0.05  # by this share: what is enough does least besides
BATCH = 24  # samples of one backward pass


class Practice:
    """The edits so far, and how their samples do.

    Attributes:
        added: the strengths.
        success: share of the samples of each step that succeeded.
    """

    def __init__(
        self,
        live: TextModel,
        succeeds: Callable[[str], bool],
        edits: Sequence[Edit],
        prompts: Sequence[str],
        sampling: Sampling,
    ) -> None:
        """Write samples without edits, to know what is usual. Needs two bytes x samples x tokens x vocabulary.

        Args:
            live: the model; its weights stay as they are.
            succeeds: of the new text of a sample.
            edits: to begin with; all add.
            prompts: what samples go on from.
            sampling: of each step, over all prompts together; a temperature of 0 is taken for 1.
        """
        self._live, self._model, self._succeeds = live, live.family.model, succeeds
        self._prompts, self._sampling = tuple(prompts), replace(sampling, temperature=sampling.temperature or 1.0)
        self._weight = WEIGHT
        self.success: list[float] = []
        tokens, _, new, _ = self._write((), sampling.seed)
        self._unsteered_perplexity = float(self._nats(self._plain(tokens), tokens, new).exp().mean())
        places = [*dict.fromkeys(edit.where for edit in edits), "generated"]
        few = tokens[:: -(-len(tokens) // BATCH)]  # of every prompt: they come one after the other
        self.added = Strengths(self._model, list(dict.fromkeys(places)), few)
        self.added.take(edits)

    def run(self, steps: int, progress: Callable[[int, float], None] | None = None) -> tuple[Edit, ...]:
        """Practise once.

        Args:
            steps: each writes samples.
            progress: called with the step and the share of its samples that succeeded.

        Returns:
            What is added then.
        """
        added = self.added
        optimizer = torch.optim.Adam(added.values.values(), lr=RATE, betas=BETAS, eps=1e-9)
        promise = {name: torch.zeros_like(values) for name, values in added.values.items()}
        for step in range(steps):
            slopes, success, ratio = self._step(self._sampling.seed + 1 + step)
            self.success.append(success)
            if progress:
                progress(step + 1, success)
            for name, slope in slopes.items():
                added.values[name].grad = slope
                promise[name].mul_(BETAS[0]).add_(slope)
            if step % EVERY == EVERY // 2 - 1:
                self._wake(optimizer, slopes, promise)
            rate = RATE * min(1.0, 1.3 - step / steps)  # falls from three tenths of the steps on, to three tenths
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            for values in added.values.values():
                values.sub_(rate * PRICE)
                if success >= MASTERED and ratio <= FLUENCY:
                    values.mul_(1 - SMALLER)
            added.settle()  # also takes back what the optimizer gave to codes that are not active
            if step % EVERY == EVERY - 1:
                added.doze()
            off = float(np.clip(ratio - FLUENCY, -STRONGEST, STRONGEST))
            self._weight = float(np.clip(self._weight * np.exp(PULL * off), LIGHTEST, HEAVIEST))
        return added.edits()

    def _wake(self, optimizer: torch.optim.Adam, slopes: Slopes, promise: Slopes) -> None:
        """Make more codes active. What promised most was lucky, too, so each begins slowly: without momentum.

        The optimizer follows every code, active or not; what it holds of a code that wakes is replaced: no mean of its slopes,
        and as their mean square that of its slope now and of its promise, so that the first step is not a leap.
        """
        asleep = {name: ~active for name, active in self.added.active.items()}
        self.added.wake(promise, MORE)
        for name, slope in slopes.items():
            woken = asleep[name] & self.added.active[name]
            state = optimizer.state[self.added.values[name]]
            state["exp_avg"][woken] = 0.0
            size = slope.abs() + promise[name].abs() * (1 - BETAS[0])
            state["exp_avg_sq"][woken] = size.square()[woken]

    def _step(self, seed: int) -> tuple[dict[str, Tensor], float, float]:
        """Return the slopes of the strengths, the share of the samples that succeed, their perplexity against what is usual."""
        tokens, prompts, new, good = self._write(self.added.edits(), seed)
        plain = self._plain(tokens)
        nats = self._nats(plain, tokens, new)
        reward = good - self._weight * nats.clamp(max=float(nats.mean()) + FAR)
        better = reward - reward.mean()
        total: dict[str, Tensor] = {}
        for batch in torch.arange(len(tokens), device=tokens.device).split(BATCH):

            def loss(batch: Tensor = batch) -> Tensor:
                logits = self._model(tokens[batch], use_cache=False).logits[:, :-1].float()
                written = (logits / self._sampling.temperature).log_softmax(-1)
                likely = written.gather(-1, tokens[batch, 1:, None])[..., 0]
                unlikely = -(written.exp() * plain[batch].float()).sum(-1)
                each = -better[batch] * (likely * new[batch]).sum(1) + self._weight * _mean(unlikely, new[batch])
                return each.sum() / len(tokens)

            for name, slope in self.added.slopes(loss, prompts[batch]).items():
                total[name] = total[name] + slope if name in total else slope
        return total, float(good.mean()), float(nats.exp().mean()) / self._unsteered_perplexity

    def _write(self, edits: Sequence[Edit], seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Write samples: tokens `[sample, token]`, prompt lengths `[sample, 1]`, which tokens but the first are new, success."""
        samples = self._live.write(self._prompts, replace(self._sampling, seed=seed), edits)
        tokens = nn.utils.rnn.pad_sequence([torch.tensor(sample.tokens) for sample in samples], batch_first=True)
        prompts = torch.tensor([[sample.prompt_length] for sample in samples])
        ends = torch.tensor([[len(sample.tokens)] for sample in samples])
        place = torch.arange(1, tokens.shape[1])
        good = torch.tensor([float(self._succeeds(sample.new_text)) for sample in samples])
        device = self._live.family.device
        new = (place >= prompts) & (place < ends)
        return tokens.to(device), prompts.to(device), new.to(device), good.to(device)

    @torch.no_grad()
    def _plain(self, tokens: Tensor) -> Tensor:
        """Return log-probabilities of the base before every token but the first, float16 `[sample, token - 1, vocabulary]`."""
        model, parts = self._live.plain.model, []
        for part in tokens.split(BATCH):
            with model.session():
                parts.append(model(part, use_cache=False).logits[:, :-1].float().log_softmax(-1).half())
        return torch.cat(parts)

    def _nats(self, plain: Tensor, tokens: Tensor, new: Tensor) -> Tensor:
        """Return the mean nats of the new tokens of each sample, `[sample]`."""
        return _mean(-plain.gather(-1, tokens[:, 1:, None])[..., 0].float(), new)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean of each row over the places that count."""
    return (values * where).sum(1) / where.sum(1).clamp(min=1)
