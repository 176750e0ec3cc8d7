"""An image tokenizer: an encoder, one table of codes (or several, of residuals), a decoder. Any pair of networks fits.

1. `encode` makes latents; the nearest code of each is its token. With several tables each next one is given what the ones
   before it left over (residual quantization, Lee et al., 2022).
2. `lookup` turns tokens into code vectors, `decode` those into a picture.

How a table was produced (FVQ's bridge, VQGAN-LC's projector, ...) is over when training ends: see `backend.nn.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from backend.nn.image_net import Decoder, Encoder, NetSettings
from backend.nn.nearest import nearest
from backend.nn.vqgan import VqganDecoder, VqganEncoder, VqganSettings


@dataclass(frozen=True)
class Halves:
    """An encoder and decoder that are made from settings.

    Attributes:
        encoder, decoder: the networks; see `ImageTokenizer`.
        code_dim: length of a code.
        downsampling: pixels along one side of a code's cell.
    """

    encoder: nn.Module
    decoder: nn.Module
    code_dim: int
    downsampling: int


def _make_small(settings: Mapping[str, Any]) -> Halves:
    net = NetSettings.from_json(settings)
    return Halves(Encoder(net), Decoder(net), net.code_dim, net.downsampling)


def _make_vqgan(settings: Mapping[str, Any]) -> Halves:
    net = VqganSettings.from_json(settings)
    return Halves(VqganEncoder(net), VqganDecoder(net), net.code_dim, net.downsampling)


# `network` of a tokenizer's configuration -> what makes it from `settings`
NETWORKS: dict[str, Callable[[Mapping[str, Any]], Halves]] = {"small": _make_small, "vqgan": _make_vqgan}


@dataclass(frozen=True)
class TokenizerConfig:
    """Everything but the weights; goes to and from JSON.

    Attributes:
        network: key of `NETWORKS`.
        settings: of the network.
        codes: rows of each table; more than one for residual tables.
        normalized: latents and codes are brought to length 1 before they are compared, and codes before they are decoded.
    """

    network: str
    settings: Mapping[str, Any]
    codes: tuple[int, ...]
    normalized: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without the network.

        Raises:
            ValueError: an unknown network, or sizes out of range.
        """
        if self.network not in NETWORKS:
            raise ValueError(f"There is no image network {self.network!r}; known: {', '.join(NETWORKS)}.")
        if not self.codes or any(type(count) is not int or count < 1 for count in self.codes):
            raise ValueError(f"Tables need at least one code each, not {self.codes}.")

    def to_json(self) -> dict[str, Any]:
        """Return plain values, in the order of the fields."""
        return {
            "network": self.network,
            "settings": dict(self.settings),
            "codes": list(self.codes),
            "normalized": self.normalized,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TokenizerConfig:
        """Read what `to_json` returned.

        Raises:
            ValueError: a key is unknown or missing, or a value is of another kind.
        """
        try:
            return cls(**{**data, "codes": tuple(data["codes"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"This is not the configuration of an image tokenizer: {error}.") from error


class Tokens(NamedTuple):
    """What one table chose at every cell.

    Attributes:
        ids: int64 `[cell, topk]`, best first.
        distances: float32 `[cell, topk]`, euclidean.
    """

    ids: Tensor
    distances: Tensor


class ImageTokenizer(nn.Module):
    """Pictures to tokens and back."""

    def __init__(self, config: TokenizerConfig, halves: Halves | None = None) -> None:
        """Start with random networks and empty tables, or with the given networks.

        Raises:
            ValueError: there is no network with these settings.
        """
        super().__init__()
        halves = halves or NETWORKS[config.network](config.settings)
        self.config, self.code_dim, self.downsampling = config, halves.code_dim, halves.downsampling
        self.encoder, self.decoder = halves.encoder, halves.decoder
        self.tables = nn.ParameterList(
            nn.Parameter(torch.zeros(count, halves.code_dim), requires_grad=False) for count in config.codes
        )

    @property
    def normalized(self) -> bool:
        """Whether latents and codes are compared at length 1."""
        return self.config.normalized

    @property
    def sites(self) -> list[str]:
        """Names of the codebooks."""
        return ["vq"] if len(self.tables) == 1 else [f"rvq.{level}" for level in range(len(self.tables))]

    def table(self, level: int = 0) -> Tensor:
        """Return the codes as they are compared and decoded, float32 `[code, dim]`."""
        table = self.tables[level].detach().float()
        return normalize(table, dim=-1) if self.normalized else table

    def encode(self, images: Tensor) -> Tensor:
        """Make latents of pictures, as they are compared.

        Args:
            images: float `[B, 3, height, width]` in [-1, 1].

        Returns:
            `[B, dim, h, w]`.
        """
        latents = self.encoder(images)
        return normalize(latents, dim=1) if self.normalized else latents

    def nearest(self, rows: Tensor, level: int = 0, topk: int = 1) -> Tokens:
        """Find the nearest codes of latents `[cell, dim]`, exact; of levels after the first, of what is left over."""
        codes = nearest(rows, self.table(level), topk)
        return Tokens(codes.ids, codes.distances)

    def tokens(self, images: Tensor) -> Tensor:
        """Turn pictures, float `[B, 3, height, width]`, into token ids int64 `[B, level, h, w]`."""
        latents = self.encode(images)
        left, ids = rows_of_cells(latents), []
        for level in range(len(self.tables)):
            ids.append(self.nearest(left, level).ids[:, 0])
            if level + 1 < len(self.tables):
                left = left - embedding(ids[-1], self.table(level))
        batch, _, height, width = latents.shape
        return torch.stack(ids).view(len(ids), batch, height, width).transpose(0, 1)

    def lookup(self, ids: Tensor) -> Tensor:
        """Look up token ids `[B, level, h, w]` as code vectors `[B, dim, h, w]`; an id of -1 is a zero vector."""
        total = torch.zeros((), device=ids.device)
        for level in range(len(self.tables)):
            codes = embedding(ids[:, level].clamp_min(0), self.table(level))
            total = total + codes.masked_fill((ids[:, level] < 0)[..., None], 0)
        return total.movedim(-1, 1)

    def decode(self, quantized: Tensor) -> Tensor:
        """Draw code vectors `[B, dim, h, w]` as pictures `[B, 3, h * f, w * f]`, about [-1, 1], not clipped."""
        return self.decoder(quantized)


def rows_of_cells(latents: Tensor) -> Tensor:
    """Turn maps `[B, dim, h, w]` into one row a cell, `[B * h * w, dim]`, in reading order."""
    return latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])


def cells_of_rows(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Turn rows `[B * h * w, dim]` back into maps of the shape `(B, dim, h, w)`."""
    batch, dim, height, width = shape
    return rows.view(batch, height, width, dim).permute(0, 3, 1, 2)
