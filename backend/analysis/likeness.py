"""How alike two pictures are: figures that need no network."""

from __future__ import annotations

import numpy as np

from backend.analysis.pixels import to_bytes


def psnr(originals: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Measure the peak signal-to-noise ratio of each picture over red, green and blue, after rounding to 8 bits.

    Args:
        originals: float `[n, 3, height, width]` in [-1, 1].
        others: what they are compared with.

    Returns:
        float64 `[n]`, dB: `20 log10(255 / root mean squared difference)`; infinite where nothing differs.
    """
    difference = to_bytes(originals).astype(np.float64) - to_bytes(others)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / (difference**2).mean((1, 2, 3)))


def ssim(originals: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Measure the structural similarity of each picture (Wang et al., 2004): window of 11 pixels, mean over colours.

    Args:
        originals: float `[n, 3, height, width]` in [-1, 1]; pictures under 11 pixels a side have none.
        others: what they are compared with.

    Returns:
        float64 `[n]`, at most 1; NaN where there is none.
    """
    from skimage.metrics import structural_similarity  # slow to import

    if min(originals.shape[2:]) < 11:
        return np.full(len(originals), np.nan)
    return np.array(
        [
            structural_similarity(
                original,
                other,
                channel_axis=-1,
                data_range=255,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,  # with the three lines above as in the paper, so that figures compare
            )
            for original, other in zip(to_bytes(originals), to_bytes(others), strict=True)
        ]
    )
