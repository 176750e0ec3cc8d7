"""Models without codebooks, built from their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.errors import UsageError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

BACKBONES = ("gpt2", "gpt_neox", "llama")


@dataclass(frozen=True)
class Shape:
    """Size of a causal language model.

    Attributes:
        backbone: `gpt2` (learned positions, feed-forward after attention), `gpt_neox` (rotary positions; the paper's) or
            `llama` (rotary positions, gated feed-forward).
        layers, dim, heads, mlp: decoder layers, width, attention heads, width of the feed-forward activation.
    """

    backbone: str = "gpt2"
    layers: int = 2
    dim: int = 128
    heads: int = 4
    mlp: int = 512

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise UsageError(f"Unknown backbone {self.backbone!r}; known: {', '.join(BACKBONES)}.")
        if min(self.layers, self.dim, self.heads, self.mlp) < 1 or self.dim % self.heads:
            raise UsageError(
                f"A width of {self.dim} cannot be split over {self.heads} heads; sizes must be at least 1."
            )

    def config(self, vocabulary: int, length: int, bos: int) -> PretrainedConfig:
        """Return the Hugging Face configuration.

        Args:
            vocabulary: number of token ids.
            length: most tokens it reads at once.
            bos: id of the token that begins an item, which also ends it.
        """
        from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig  # takes seconds; a shape alone is known at once

        common: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": bos, "eos_token_id": bos}
        if self.backbone == "gpt2":
            return GPT2Config(
                n_embd=self.dim,
                n_layer=self.layers,
                n_head=self.heads,
                n_inner=self.mlp,
                n_positions=length,
                resid_pdrop=0.0,
                activation_function="gelu_pytorch_tanh",
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **common,
            )
        common |= {
            "hidden_size": self.dim,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.mlp,
            "max_position_embeddings": length,
        }
        if self.backbone == "gpt_neox":
            return GPTNeoXConfig(tie_word_embeddings=False, **common)
        return LlamaConfig(num_key_value_heads=self.heads, tie_word_embeddings=True, **common)
