"""The small encoder and decoder of the image tokenizers that are trained here: the same network for every method.

1. Encoder: per halving of the resolution a strided convolution and residual blocks; a 1 x 1 convolution to the codes' space.
2. Decoder: the same the other way round, with nearest-neighbour upsampling; the last halving is undone by a convolution
   that makes four pixels a cell.
3. FSQ alone adds a bound behind the encoder (`levels`): with it, rounding every dimension is the same as looking for the
   nearest of a table that lists all combinations (Mentzer et al., 2023), so that FSQ too is a table.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

GROUPS = 8


@dataclass(frozen=True)
class NetSettings:
    """Everything that determines the network; goes to and from JSON.

    Attributes:
        code_dim: length of a code.
        width: channels at half the resolution, twice that from there on; a multiple of 8.
        blocks: residual blocks at each resolution.
        downsampling: pixels along one side of a code's cell, a power of two from 2.
        levels: FSQ: values that each dimension of a code can take; empty for all others.
    """

    code_dim: int = 16
    width: int = 32
    blocks: int = 1
    downsampling: int = 4
    levels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: a number with which there is no network.
        """
        if min(self.code_dim, self.width, self.blocks) < 1 or self.width % GROUPS:
            raise ValueError(f"Sizes must be above 0 and the width a multiple of {GROUPS}: {self}.")
        if self.downsampling < 2 or self.downsampling & (self.downsampling - 1):
            raise ValueError(f"The downsampling must be 2, 4, 8, ..., not {self.downsampling}.")
        if self.levels and (len(self.levels) != self.code_dim or min(self.levels) < 2):
            raise ValueError(f"FSQ needs one number of levels, from 2, for each of {self.code_dim} dimensions.")

    @property
    def channels(self) -> list[int]:
        """Channels of each resolution, the highest first."""
        return [self.width] + [2 * self.width] * (int(math.log2(self.downsampling)) - 1)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, in the order of the fields."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetSettings:
        """Read what `to_json` returned, or what JSON made of it.

        Raises:
            ValueError: a key is unknown, or a value is not a whole number.
        """
        try:
            settings = cls(**{**data, "levels": tuple(data.get("levels", ()))})
        except TypeError as error:
            raise ValueError(f"These settings do not fit the small image network: {error}.") from error
        numbers = (settings.code_dim, settings.width, settings.blocks, settings.downsampling, *settings.levels)
        if any(type(number) is not int for number in numbers):
            raise ValueError("Sizes of the small image network must be whole numbers.")
        return settings


class Encoder(nn.Module):
    """Pictures to latents."""

    def __init__(self, settings: NetSettings) -> None:
        """Start with random weights."""
        super().__init__()
        stages: list[nn.Module] = []
        before = 3
        for channels in settings.channels:
            stages.append(nn.Conv2d(before, channels, 3, stride=2, padding=1))
            stages += [_Block(channels) for _ in range(settings.blocks)]
            before = channels
        self.stages = nn.Sequential(*stages)
        self.norm = nn.GroupNorm(GROUPS, before)
        self.to_codes = nn.Conv2d(before, settings.code_dim, 1)
        self.bound = Bound(settings.levels) if settings.levels else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Make latents of pictures.

        Args:
            images: float `[B, 3, height, width]` in [-1, 1].

        Returns:
            `[B, code_dim, height / f, width / f]`, not quantized.
        """
        return self.bound(self.to_codes(silu(self.norm(self.stages(images)))))


class Decoder(nn.Module):
    """Quantized latents to pictures."""

    def __init__(self, settings: NetSettings) -> None:
        """Start with random weights."""
        super().__init__()
        widest = settings.channels[-1]
        self.from_codes = nn.Conv2d(settings.code_dim, widest, 3, padding=1)
        stages: list[nn.Module] = []
        before = widest
        for channels in reversed(settings.channels):
            if stages:
                stages.append(_Up(before, channels))
            stages += [_Block(channels) for _ in range(settings.blocks)]
            before = channels
        self.stages = nn.Sequential(*stages)
        self.norm = nn.GroupNorm(GROUPS, before)
        self.to_image = nn.Sequential(nn.Conv2d(before, 3 * 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, codes: Tensor) -> Tensor:
        """Draw code vectors `[B, code_dim, h, w]` as pictures `[B, 3, h * f, w * f]`, about [-1, 1], not clipped."""
        return self.to_image(silu(self.norm(self.stages(self.from_codes(codes)))))


class Bound(nn.Module):
    """Squeezes dimension i into the range of its `levels[i]` values (FSQ, section 3.1), in units of half a range."""

    def __init__(self, levels: tuple[int, ...]) -> None:
        """Keep the levels."""
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        """Bring float `[B, len(levels), h, w]` into about [-1, 1]."""
        levels = torch.tensor(self.levels, device=x.device, dtype=x.dtype)[:, None, None]
        half = (levels - 1) * (1 + 1e-3) / 2  # a little beyond the range: its ends need no infinite inputs
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)  # an even number of levels has none in the middle
        shift = torch.atanh(offset / half)
        return (torch.tanh(x + shift) * half - offset) / (levels // 2)


def fsq_table(levels: tuple[int, ...]) -> Tensor:
    """List all combinations of the values of every dimension, float32 `[product of levels, len(levels)]`."""
    axes = [(torch.arange(n, dtype=torch.float32) - n // 2) / (n // 2) for n in levels]
    return torch.cartesian_prod(*axes).reshape(-1, len(levels))


class _Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, channels), nn.GroupNorm(GROUPS, channels)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(silu(self.norm2(self.conv1(silu(self.norm1(x))))))


class _Up(nn.Module):
    """Twice the resolution."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(interpolate(x, scale_factor=2.0, mode="nearest"))
