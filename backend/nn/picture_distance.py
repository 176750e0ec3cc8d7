"""A distance between pictures that sees texture and edges and not pixels: our own, and neither LPIPS nor FID.

1. Three convolutions with fixed random weights (numpy's generator, seed 7), each with a ReLU and followed by a halving, give
   features at three scales. Random filters need no training, no download and no file, and stay the same for good.
2. At every place features are brought to length 1; the squared distance of two pictures' features is averaged over places
   and scales.

It is 0 for equal pictures and 2 for features that have nothing in common. It orders blurs, noise and wrong textures as one
would expect; it knows nothing of what people see in a picture.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, normalize

WIDTHS = (3, 32, 64, 128)
SEED = 7
_PIXELS = 1 << 18  # looked at together


@torch.no_grad()
def feature_distance(originals: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Measure the distance of each picture to its counterpart, float64 `[n]`, 0 to 2.

    Args:
        originals: float32 `[n, 3, height, width]` in [-1, 1], at least 8 pixels a side.
        others: the same.
    """
    step = max(1, _PIXELS // max(1, originals.shape[2] * originals.shape[3]))
    distances = [
        _distance(torch.from_numpy(originals[i : i + step]).float(), torch.from_numpy(others[i : i + step]).float())
        for i in range(0, len(originals), step)
    ]
    return torch.cat(distances).double().numpy() if distances else np.zeros(0)


def _distance(originals: Tensor, others: Tensor) -> Tensor:
    total = torch.zeros(len(originals))
    for a, b in zip(_features(originals), _features(others), strict=True):
        total += (normalize(a, dim=1) - normalize(b, dim=1)).square().sum(1).mean((1, 2))
    return total / (len(WIDTHS) - 1)


def _features(images: Tensor) -> list[Tensor]:
    features = []
    x = images.clamp(-1, 1)
    for weight in _weights():
        x = conv2d(x, weight, padding=1).relu()
        features.append(x)
        x = avg_pool2d(x, 2)
    return features


@cache
def _weights() -> list[Tensor]:
    """Draw the filters; half of the first layer's have no constant part, so that brightness alone does not set all features."""
    draw = np.random.default_rng(SEED)
    weights: list[Tensor] = []
    for inner, outer in zip(WIDTHS[:-1], WIDTHS[1:], strict=True):
        weight = draw.standard_normal((outer, inner, 3, 3)) * np.sqrt(2 / (9 * inner))
        if not weights:
            weight -= weight.mean((2, 3), keepdims=True) * (np.arange(outer) % 2)[:, None, None, None]
        weights.append(torch.from_numpy(weight.astype(np.float32)))
    return weights
