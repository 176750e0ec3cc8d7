"""The convolutional encoder and decoder of VQGAN, in one form that serves all tokenizers of that line.

1. Encoder: a convolution, then one level per resolution (residual blocks, attention behind each of them where a level
   has it, a strided convolution to the next), a middle (block, attention, block), normalisation, a convolution to the
   latents, and a 1 x 1 convolution to the space of the codes.
2. Decoder: the same the other way round, with nearest-neighbour upsampling between levels.
3. With `spatial_norm`, every normalisation of the decoder is scaled and shifted by the quantized latents (MoVQ; Zheng
   et al., 2022). Its 1 x 1 convolutions run on the latents' own grid, before they are enlarged: the same numbers for less.

LlamaGen, FVQ, VQGAN-LC, VQGAN (Esser, Rombach, Ommer, 2021) and diffusers' `VQModel` differ in the settings alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, scaled_dot_product_attention, silu

Resample = Literal["down", "up"]


@dataclass(frozen=True)
class Half:
    """Encoder or decoder, with everything in the order of its forward pass.

    Attributes:
        stem: channels behind the first convolution.
        channels: channels of each level.
        blocks: residual blocks of a level.
        attention: numbers of the levels that have attention behind every block.
        mid_attention: whether the middle has attention.
    """

    stem: int
    channels: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...] = ()
    mid_attention: bool = True

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: a number with which there is no network.
        """
        if not self.channels or min(self.stem, self.blocks, *self.channels) < 1:
            raise ValueError(f"stem, blocks and channels must be above 0: {self}.")
        if not set(self.attention) <= set(range(len(self.channels))):
            raise ValueError(f"attention must name levels from 0 to {len(self.channels) - 1}, not {self.attention}.")


@dataclass(frozen=True)
class VqganSettings:
    """Everything that determines the network; goes to and from JSON.

    Attributes:
        encoder, decoder: the two halves.
        latent_channels: channels between a half and its 1 x 1 convolution.
        code_dim: length of a code.
        image_channels: of pictures, 3 for RGB.
        norm_groups: groups of channels that are normalised together.
        spatial_norm: whether the quantized latents modulate the decoder's normalisation.
    """

    encoder: Half
    decoder: Half
    latent_channels: int
    code_dim: int
    image_channels: int = 3
    norm_groups: int = 32
    spatial_norm: bool = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: a number with which there is no network.
        """
        if min(self.latent_channels, self.code_dim, self.image_channels, self.norm_groups) < 1:
            raise ValueError(f"All sizes must be above 0: {self}.")
        widths = {self.encoder.stem, self.decoder.stem, *self.encoder.channels, *self.decoder.channels}
        if odd := sorted(width for width in widths if width % self.norm_groups):
            raise ValueError(f"{odd} channels cannot be normalised in {self.norm_groups} groups.")
        if len(self.encoder.channels) != len(self.decoder.channels):
            raise ValueError(
                f"The encoder has {len(self.encoder.channels)} levels and the decoder {len(self.decoder.channels)}."
            )

    @property
    def downsampling(self) -> int:
        """Pixels along one side of a code's cell; a picture's sides must be multiples of it."""
        return 1 << (len(self.encoder.channels) - 1)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, in the order of the fields."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VqganSettings:
        """Read what `to_json` returned, or what JSON made of it.

        Raises:
            ValueError: a key is unknown or missing, or a value is of another kind.
        """
        try:
            halves = {key: _read_half(data[key]) for key in ("encoder", "decoder")}
            settings = cls(**{**data, **halves})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"These are not the settings of a VQGAN: {error}.") from error
        sizes = (settings.latent_channels, settings.code_dim, settings.image_channels, settings.norm_groups)
        if any(type(size) is not int for size in sizes) or type(settings.spatial_norm) is not bool:
            raise ValueError("Sizes of a VQGAN must be whole numbers and spatial_norm true or false.")
        return settings


def _read_half(data: Mapping[str, Any]) -> Half:
    half = Half(**{**data, "channels": tuple(data["channels"]), "attention": tuple(data.get("attention", ()))})
    if any(type(size) is not int for size in (half.stem, half.blocks, *half.channels, *half.attention)):
        raise ValueError(f"Sizes must be whole numbers: {half}.")
    return half


class VqganEncoder(nn.Module):
    """Pictures to latents."""

    def __init__(self, settings: VqganSettings) -> None:
        """Start with random weights."""
        super().__init__()
        half, groups = settings.encoder, settings.norm_groups
        self.conv_in = nn.Conv2d(settings.image_channels, half.stem, 3, padding=1)
        self.levels = _levels(half, "down", groups, 0)
        self.mid = _Middle(half.channels[-1], half.mid_attention, groups, 0)
        self.norm_out = _Norm(groups, half.channels[-1])
        self.conv_out = nn.Conv2d(half.channels[-1], settings.latent_channels, 3, padding=1)
        self.to_codes = nn.Conv2d(settings.latent_channels, settings.code_dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Make latents of pictures.

        Args:
            images: float `[B, 3, height, width]` in [-1, 1].

        Returns:
            `[B, code_dim, height / f, width / f]`, not quantized.
        """
        x = self.conv_in(images.contiguous(memory_format=torch.channels_last))
        for level in self.levels:
            x = level(x)
        return self.to_codes(self.conv_out(silu(self.norm_out(self.mid(x)), inplace=True)))


class VqganDecoder(nn.Module):
    """Quantized latents to pictures."""

    def __init__(self, settings: VqganSettings) -> None:
        """Start with random weights."""
        super().__init__()
        half, groups = settings.decoder, settings.norm_groups
        guide = settings.code_dim if settings.spatial_norm else 0
        self.from_codes = nn.Conv2d(settings.code_dim, settings.latent_channels, 1)
        self.conv_in = nn.Conv2d(settings.latent_channels, half.stem, 3, padding=1)
        self.mid = _Middle(half.stem, half.mid_attention, groups, guide)
        self.levels = _levels(half, "up", groups, guide)
        self.norm_out = _Norm(groups, half.channels[-1], guide)
        self.conv_out = nn.Conv2d(half.channels[-1], settings.image_channels, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        """Draw code vectors `[B, code_dim, h, w]` as pictures `[B, 3, h * f, w * f]`, about [-1, 1], not clipped."""
        codes = codes.contiguous(memory_format=torch.channels_last)
        x = self.mid(self.conv_in(self.from_codes(codes)), codes)
        for level in self.levels:
            x = level(x, codes)
        return self.conv_out(silu(self.norm_out(x, codes), inplace=True))


class _Norm(nn.GroupNorm):
    """Group normalisation, where asked for scaled and shifted by the codes of the place (`guide` channels)."""

    def __init__(self, groups: int, channels: int, guide: int = 0) -> None:
        super().__init__(groups, channels, eps=1e-6)
        self.scale = nn.Conv2d(guide, channels, 1) if guide else None
        self.shift = nn.Conv2d(guide, channels, 1) if guide else None

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        normed = super().forward(x)
        if self.scale is None or self.shift is None:
            return normed
        # on the latents' own grid and enlarged after: a 1 x 1 convolution gives the same numbers for less
        scale, shift = (interpolate(part(codes), x.shape[-2:], mode="nearest") for part in (self.scale, self.shift))
        return normed * scale + shift


class _Block(nn.Module):
    def __init__(self, inner: int, outer: int, groups: int, guide: int) -> None:
        super().__init__()
        self.norm1 = _Norm(groups, inner, guide)
        self.conv1 = nn.Conv2d(inner, outer, 3, padding=1)
        self.norm2 = _Norm(groups, outer, guide)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1)
        self.shortcut = nn.Conv2d(inner, outer, 1) if inner != outer else None

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        h = self.conv1(silu(self.norm1(x, codes), inplace=True))
        h = self.conv2(silu(self.norm2(h, codes), inplace=True))
        return h + (x if self.shortcut is None else self.shortcut(x))


class _Attention(nn.Module):
    """One head over all cells."""

    def __init__(self, channels: int, groups: int, guide: int) -> None:
        super().__init__()
        self.norm = _Norm(groups, channels, guide)
        self.q, self.k, self.v, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        normed = self.norm(x, codes)
        q, k, v = (part(normed).flatten(2).transpose(1, 2)[:, None] for part in (self.q, self.k, self.v))
        mixed = scaled_dot_product_attention(q, k, v)[:, 0]  # [B, h * w, channels]
        return x + self.out(mixed.transpose(1, 2).reshape(x.shape))


class _Middle(nn.Module):
    def __init__(self, channels: int, attention: bool, groups: int, guide: int) -> None:
        super().__init__()
        self.first = _Block(channels, channels, groups, guide)
        self.attention = _Attention(channels, groups, guide) if attention else None
        self.last = _Block(channels, channels, groups, guide)

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        x = self.first(x, codes)
        if self.attention is not None:
            x = self.attention(x, codes)
        return self.last(x, codes)


class _Level(nn.Module):
    """All that happens at one resolution, and the way to the next."""

    def __init__(self, blocks: nn.ModuleList, attention: nn.ModuleList, channels: int, resample: Resample | None):
        super().__init__()
        self.blocks, self.attention, self.direction = blocks, attention, resample
        padding = 1 if resample == "up" else 0
        stride = 1 if resample == "up" else 2
        self.resample = None if resample is None else nn.Conv2d(channels, channels, 3, stride, padding)

    def forward(self, x: Tensor, codes: Tensor | None = None) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x, codes)
            if self.attention:
                x = self.attention[i](x, codes)
        if self.resample is None:
            return x
        # down: one more row and column below and on the right, as all implementations of this line pad
        return self.resample(
            interpolate(x, scale_factor=2.0, mode="nearest") if self.direction == "up" else pad(x, (0, 1, 0, 1))
        )


def _levels(half: Half, resample: Resample, groups: int, guide: int) -> nn.ModuleList:
    levels = nn.ModuleList()
    before = half.stem
    for i, channels in enumerate(half.channels):
        widths = [before] + [channels] * (half.blocks - 1)
        blocks = nn.ModuleList(_Block(width, channels, groups, guide) for width in widths)
        count = half.blocks if i in half.attention else 0
        attention = nn.ModuleList(_Attention(channels, groups, guide) for _ in range(count))
        levels.append(_Level(blocks, attention, channels, resample if i < len(half.channels) - 1 else None))
        before = channels
    return levels
