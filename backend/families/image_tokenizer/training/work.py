"""About how long the stages of training a tokenizer take, in seconds on two cores, so that a bar can show the whole of it.

Only what they are to each other counts: `backend.train.stages` measures how fast they go. The constants fit what the shipped
models took within a factor of two.
"""

from __future__ import annotations

from backend.families.image_tokenizer.training.picture_features import CELLS, ROUNDS, STEPS
from backend.families.image_tokenizer.training.recipe import FEATURE_WIDTH, TOKENS_A_CODE, TokenizerRecipe
from backend.train.recipes import MEASURING

PICTURES, FEATURES, SELECTION, TRAINING = "pictures", "features", "selection", "training"  # stages of a run
_FLOPS = 2e10  # multiplications and additions a second
_COMPARED = 2e8  # scores a second of which the best is chosen
_NETWORK = 2e-6  # seconds a pixel of a step, gradients included, with 32 channels and one block
_FEATURE_BATCH = 32
_CALL = 0.01  # seconds that any step takes, however small the pictures
_DRAWN = 1e-6  # seconds a pixel


def work_of(recipe: TokenizerRecipe, seeds: int) -> dict[str, float]:
    """Return the stages of a run in their order, each with its seconds.

    Args:
        recipe: how it is trained.
        seeds: that it is measured with at the end; 0: it is not.
    """
    pixels = int(recipe.dataset.get("size", 32)) ** 2
    tables = recipe.levels if recipe.method == "rvq" else 1
    rows = recipe.batch * pixels // recipe.downsampling**2
    network = _NETWORK * pixels * (recipe.width / 32) ** 2 * recipe.blocks
    stages = {PICTURES: _DRAWN * pixels * recipe.pool}
    if recipe.method == "lc" and recipe.features == "autoencoder":
        stages[FEATURES] = STEPS * (_CALL + _FEATURE_BATCH * _NETWORK * pixels)
        stages[SELECTION] = ROUNDS * _choosing(CELLS * recipe.codes, recipe.codes, FEATURE_WIDTH)
    step = _CALL + recipe.batch * network + tables * _choosing(rows, recipe.codes, recipe.code_dim)
    stages[TRAINING] = recipe.steps * step
    if seeds:
        stages[MEASURING] = seeds * _measuring(recipe, pixels)
    return stages


def _measuring(recipe: TokenizerRecipe, pixels: int) -> float:
    tokens = TOKENS_A_CODE * recipe.codes
    pictures = max(256, tokens * recipe.downsampling**2 // pixels)
    return pictures * pixels * _NETWORK / 3 + _choosing(tokens, recipe.codes, recipe.code_dim)


def _choosing(rows: int, codes: int, dim: int) -> float:
    return 2 * rows * codes * dim / _FLOPS + rows * codes / _COMPARED
