"""Sampling tokens from a causal language model, one step at a time, with its KV cache.

The noise of each step depends on the seed and the step alone (Gumbel noise, one value per sequence and token), so two
runs with the same seed take the same choices wherever they see the same distribution: what differs is due to the edit.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


class Sampler:
    """A batch of sequences that grows by one token at each `step`.

    Attributes:
        tokens: int64 `[sequence, length]`, prompt and what was made so far.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompt: Tensor,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> None:
        """Start from a prompt int64 `[sequence, length]` of at least one token.

        Args:
            model: what predicts.
            prompt: token ids on the model's device.
            temperature: above 0; 0 takes the most likely token.
            top_k: keep only so many of the most likely tokens.
            seed: of the noise.
        """
        self.model = model
        self.tokens = prompt
        self._fresh = prompt
        self._cache = DynamicCache(config=model.config)
        self._temperature = temperature
        self._top_k = top_k
        self._generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def step(self) -> Tensor:
        """Add one token to every sequence; returns them, int64 `[sequence]`."""
        output = self.model(self._fresh, past_key_values=self._cache, use_cache=True)
        logits = output.logits[:, -1].float()
        if self._top_k is not None and self._top_k < logits.shape[-1]:
            least = logits.topk(self._top_k, dim=-1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        noise = torch.rand(logits.shape, generator=self._generator).clamp_min(1e-20)
        if self._temperature > 0:
            logits = logits / self._temperature - (-noise.log()).log().to(logits.device)
        chosen = logits.argmax(-1)
        self._fresh = chosen[:, None]
        self.tokens = torch.cat((self.tokens, self._fresh), dim=1)
        return chosen
