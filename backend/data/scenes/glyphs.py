"""Letters and digits as strokes on a lattice of 5 by 7 points, and how far a point is from them."""

from __future__ import annotations

import numpy as np

# Each character: chains of points `xy`, x to the right 0..4, y down 0..6; `|` lifts the pen.
STROKES = {
    "A": "06 02 20 42 46|04 44",
    "B": "03 00 30 41 42 33 03 06 36 45 44 33",
    "C": "41 30 10 01 05 16 36 45",
    "D": "00 06 26 45 41 20 00",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "H": "00 06|40 46|03 43",
    "I": "10 30|20 26|16 36",
    "J": "40 45 36 16 05",
    "K": "00 06|40 03 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "N": "06 00 46 40",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "06 00 30 41 42 33 03",
    "Q": "10 30 41 45 36 16 05 01 10|24 46",
    "R": "06 00 30 41 42 33 03|23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40|20 26",
    "U": "00 05 16 36 45 40",
    "V": "00 26 40",
    "W": "00 16 23 36 40",
    "X": "00 46|40 06",
    "Y": "00 23 40|23 26",
    "Z": "00 40 06 46",
    "0": "10 30 41 45 36 16 05 01 10|32 14",
    "1": "11 20 26|16 36",
    "2": "01 10 30 41 42 06 46",
    "3": "00 40 22 33 44 45 36 16 05",
    "4": "36 30 04 44",
    "5": "40 00 02 32 43 45 36 06",
    "6": "30 10 01 05 16 36 45 44 33 03",
    "7": "00 40 16",
    "8": "13 02 01 10 30 41 42 33 13 04 05 16 36 45 44 33",
    "9": "16 36 45 41 30 10 01 02 13 43",
}
GLYPHS = tuple(STROKES)
HALF_WIDTH = 0.17  # of a stroke, where the character is two units high


def _load_segments() -> np.ndarray:
    """Read `STROKES` as float32 `[glyph, segment, 2 ends, 2]` in [-1, 1]; glyphs of fewer strokes repeat their first one."""
    every = []
    for chains in STROKES.values():
        lines = []
        for chain in chains.split("|"):
            points = [((int(p[0]) - 2) / 3, (int(p[1]) - 3) / 3) for p in chain.split()]
            lines += list(zip(points, points[1:], strict=False))
        every.append(lines)
    longest = max(map(len, every))
    return np.array([lines + lines[:1] * (longest - len(lines)) for lines in every], dtype=np.float32)


_SEGMENTS = _load_segments()


def glyph_distance(u: np.ndarray, v: np.ndarray, glyph: np.ndarray) -> np.ndarray:
    """Measure the signed distance to characters, negative inside their strokes.

    Args:
        u: float32 `[object, height, width]`: to the right; the character spans [-2/3, 2/3].
        v: the same downwards; the character spans [-1, 1].
        glyph: int `[object]`, indices into `GLYPHS`.
    """
    nearest = np.full_like(u, np.inf)
    for place in range(_SEGMENTS.shape[1]):
        start, end = np.moveaxis(_SEGMENTS[glyph, place], 1, 0)  # [object, 2]
        along = end - start
        du, dv = u - start[:, 0, None, None], v - start[:, 1, None, None]
        au, av = along[:, 0, None, None], along[:, 1, None, None]
        # the nearest point of the segment: a share of the way from its start to its end
        share = np.clip((du * au + dv * av) / (au * au + av * av), 0, 1)
        du, dv = du - share * au, dv - share * av
        nearest = np.minimum(nearest, du * du + dv * dv)
    return np.sqrt(nearest) - HALF_WIDTH  # one square root, of the smallest square
