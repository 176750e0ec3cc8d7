"""Sampling tokens from a causal language model, one step at a time, with its KV cache.

The noise of each step depends on the seed and the step alone (Gumbel noise, one value per sequence and token), so two
runs with the same seed take the same choices wherever they see the same distribution: what differs is due to the edit.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from backend.nn.insertion import kv_cache


class Sampler:
    """A batch of sequences that grows by one token at each `step`.

    Attributes:
        tokens: int64 `[sequence, length]`, prompt and what came after it so far.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompt: Tensor,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
        mask: Tensor | None = None,
    ) -> None:
        """Start from a prompt int64 `[sequence, length]` of at least one token.

        Args:
            model: what predicts.
            prompt: token ids on the model's device.
            temperature: above 0; 0 takes the most likely token.
            top_k: keep only so many of the most likely tokens.
            seed: of the noise.
            mask: int64 like the prompt, 0 for padding on the left of shorter prompts; None: there is none.
        """
        self.model = model
        self.tokens = prompt
        self._fresh = prompt
        self._mask = mask
        self._cache = {kv_cache.argument(model): DynamicCache(config=model.config)}
        self._temperature = temperature
        self._top_k = top_k
        self._generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def step(self) -> Tensor:
        """Add one token to every sequence, and return these tokens, int64 `[sequence]`."""
        padded = {}
        if self._mask is not None:
            # positions count from the first real token: padding on the left must not move a prompt
            places = (self._mask.cumsum(-1) - 1).clamp_min(0)[:, -self._fresh.shape[1] :]
            padded = {"attention_mask": self._mask, "position_ids": places}
            self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        output = self.model(self._fresh, use_cache=True, **self._cache, **padded)
        logits = output.logits[:, -1].float()
        if self._top_k is not None and self._top_k < logits.shape[-1]:
            least = logits.topk(self._top_k, dim=-1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        # drawn on the CPU and at temperature 0 too: the same seed is the same noise on every device and at every step
        noise = torch.rand(logits.shape, generator=self._generator).clamp_min(1e-20)
        if self._temperature > 0:
            logits = logits / self._temperature - (-noise.log()).log().to(logits.device)
        chosen = logits.argmax(-1)
        self._fresh = chosen[:, None]
        self.tokens = torch.cat((self.tokens, self._fresh), dim=1)
        return chosen
