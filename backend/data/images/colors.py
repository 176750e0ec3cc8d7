"""Colours by name: twelve families, each a range of hue, saturation and value, drawn from and recognised.

What `paint` draws from a family, `name_colors` calls by that family's name; colours between the families get the name
of the nearest hue.
"""

from __future__ import annotations

import numpy as np

FAMILIES = {  # hue in turns, saturation, value: low and high of each
    "red": ((-0.03, 0.025), (0.70, 1.0), (0.62, 1.0)),
    "orange": ((0.05, 0.10), (0.75, 1.0), (0.85, 1.0)),
    "yellow": ((0.13, 0.18), (0.55, 1.0), (0.85, 1.0)),
    "green": ((0.25, 0.42), (0.45, 1.0), (0.35, 0.85)),
    "cyan": ((0.46, 0.53), (0.45, 1.0), (0.65, 1.0)),
    "blue": ((0.57, 0.68), (0.55, 1.0), (0.45, 1.0)),
    "purple": ((0.73, 0.80), (0.40, 0.9), (0.40, 0.9)),
    "pink": ((0.86, 0.94), (0.30, 0.7), (0.85, 1.0)),
    "brown": ((0.04, 0.10), (0.45, 0.8), (0.28, 0.55)),
    "white": ((0.0, 1.0), (0.0, 0.08), (0.9, 1.0)),
    "grey": ((0.0, 1.0), (0.0, 0.10), (0.4, 0.7)),
    "black": ((0.0, 1.0), (0.0, 0.40), (0.03, 0.17)),
}
COLORS = tuple(FAMILIES)
_RANGES = np.array(
    [FAMILIES[name] for name in COLORS], dtype=np.float32
)  # [family, hue / saturation / value, low / high]
_HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "red")
_HUE_ENDS = np.array([0.035, 0.117, 0.21, 0.44, 0.555, 0.705, 0.83, 0.96])  # where the next of `_HUES` begins


def paint(family: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Draw colours of given families.

    Args:
        family: int `[...]`, indices into `COLORS`.
        where: float `[..., 3]` in [0, 1): the place in the family's ranges of hue, saturation and value.

    Returns:
        float32 `[..., 3]`, RGB in [0, 1].
    """
    low, high = _RANGES[family, :, 0], _RANGES[family, :, 1]
    return _from_hsv(low + (high - low) * where.astype(np.float32))


def _from_hsv(hsv: np.ndarray) -> np.ndarray:
    """Turn hue (in turns), saturation and value `[..., 3]` into RGB: each channel is a trapezoid over the hue."""
    hue, saturation, value = hsv[..., :1], hsv[..., 1:2], hsv[..., 2:]
    away = (hue * 6 + np.array([0, 4, 2], dtype=np.float32)) % 6  # 0 where the channel is strongest
    return value * (1 - saturation * np.clip(np.minimum(away, 6 - away) - 1, 0, 1))


def name_colors(rgb: np.ndarray) -> np.ndarray:
    """Name colours `[..., 3]`, RGB in [0, 1], by the families of `COLORS`, as an object array `[...]`."""
    value, low = rgb.max(-1), rgb.min(-1)
    spread = value - low
    saturation = spread / np.maximum(value, 1e-6)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    safe = np.maximum(spread, 1e-6)  # of grey no hue is defined; it is named by its value below
    hue = np.select(
        [value == red, value == green], [(green - blue) / safe % 6, (blue - red) / safe + 2], (red - green) / safe + 4
    )
    names = np.array(_HUES, dtype=object)[np.searchsorted(_HUE_ENDS, hue / 6, side="right")]
    # brown is dark orange, so the hue alone cannot tell; black comes last: a dark pixel's hue and saturation are noise
    names[(names == "orange") & (value < 0.62)] = "brown"
    names[saturation < 0.15] = "grey"
    names[(saturation < 0.15) & (value >= 0.8)] = "white"
    names[value < 0.2] = "black"
    return names
