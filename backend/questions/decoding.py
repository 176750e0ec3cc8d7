"""What one code looks like when it is decoded, and how much of that its neighbours decide.

1. Alone: a token map of one cell. Everywhere: a token map filled with the code.
2. At its own places: pictures of the build in which the code fires, decoded from their tokens.
3. Elsewhere: the code put into other pictures of the build, at cells drawn at random.
4. The spread of the decoded cell (variance of a pixel, mean over pixels) among 2 or 3, divided by that among all cells of
   the pictures under 2: 0 means that the code alone decides what is drawn, 1 that it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from backend.analysis.patches import all_cells, crop_cell, spread
from backend.analysis.pixels import to_bytes
from backend.answers.meaning import DecodedCode
from backend.questions.pictures import patches, token_map
from backend.store.reader import Reader
from backend.types import CodeRef

Decode = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def decoded(reader: Reader, ref: CodeRef, decode: Decode, n: int = 12, seed: int = 0, around: int = 1) -> DecodedCode:
    """Decode one code, alone, at its own places and elsewhere.

    Args:
        reader: the model's build, which gives the pictures.
        ref: the code.
        decode: makes pictures float32 `[n, 3, height, width]` of token maps of all codebooks, site -> int `[n, H, W]`;
            `explorer.live(model).decode` is one.
        n: how many places of each kind.
        seed: of the places.
        around: cells around each that are shown.
    """
    sites = list(reader.sites)
    places = patches(reader, ref, "random", n=n, seed=seed, around=0)
    here = {site: [token_map(reader, p.item, site)[..., 0] for p in places] for site in sites}
    shape = here[ref.site][0].shape if places else (8, 8)
    same = [i for i, tokens in enumerate(here[ref.site]) if tokens.shape == shape]
    maps = {site: np.stack([here[site][i] for i in same]) for site in sites} if same else {}
    at = [(places[i].row, places[i].column) for i in same]

    rng = np.random.default_rng((seed, ref.code))
    others = [int(item) for item in reader.items.item[rng.integers(len(reader.items.item), size=n)]]
    foreign = {site: [token_map(reader, item, site)[..., 0] for item in others] for site in sites}
    fitting = [i for i, tokens in enumerate(foreign[ref.site]) if tokens.shape == shape]
    changed = {site: np.stack([foreign[site][i] for i in fitting]) for site in sites} if fitting else {}
    into = [(int(rng.integers(shape[0])), int(rng.integers(shape[1]))) for _ in fitting]
    for row, (y, x) in enumerate(into):
        changed[ref.site][row, y, x] = ref.code

    def drawn(tokens: Mapping[str, np.ndarray]) -> np.ndarray:
        return to_bytes(decode(tokens)) if tokens else np.zeros((0, 1, 1, 3), np.uint8)

    def filled(rows: int, columns: int) -> np.ndarray:
        return drawn({s: np.full((1, rows, columns), ref.code if s == ref.site else -1) for s in sites})[0]

    alone, shown, put = filled(1, 1), drawn(maps), drawn(changed)
    cell = alone.shape[0], alone.shape[1]

    def cells(pictures: np.ndarray, where: Sequence[tuple[int, int]], around: int) -> list[np.ndarray]:
        return [crop_cell(picture, place, cell, around) for picture, place in zip(pictures, where, strict=True)]

    everything = all_cells(shown, shape) if len(shown) else shown
    total = spread(everything)
    own_spread, elsewhere_spread = (
        spread(np.stack(cells(pictures, where, 0))[..., :3]) / total if len(where) > 1 and total > 0 else float("nan")
        for pictures, where in ((shown, at), (put, into))
    )
    return DecodedCode(
        alone=alone,
        everywhere=filled(*shape),
        own=cells(shown, at, around),
        elsewhere=cells(put, into, around),
        around=around,
        own_spread=own_spread,
        elsewhere_spread=elsewhere_spread,
        cells=len(everything),
    )
