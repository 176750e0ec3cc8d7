"""Pixels as models have them and as screens and files do."""

from __future__ import annotations

import numpy as np


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Turn float `[..., 3, height, width]` in [-1, 1] into uint8 `[..., height, width, 3]`; values beyond are clipped."""
    return np.moveaxis(np.rint((np.clip(pixels, -1, 1) + 1) * 127.5).astype(np.uint8), -3, -1)
