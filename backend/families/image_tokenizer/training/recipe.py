"""How an image tokenizer is trained, as data: nothing heavy is imported before the network is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backend.errors import UsageError

if TYPE_CHECKING:
    from backend.nn.image_net import NetSettings

METHODS = ("vq", "ema", "reset", "fc", "simvq", "fvq", "lc", "fsq", "rvq")  # keys of `backend.nn.tables.METHODS`
FEATURE_WIDTH = 64  # length of a frozen feature of `lc`
TOKENS_A_CODE = 32  # that the use of a table is counted over where nothing else is said
POOL = 20_000  # pictures that are drawn to train on


@dataclass(frozen=True)
class TokenizerRecipe:
    """How to train a tokenizer.

    Attributes:
        dataset: settings of the pictures, see `backend.data.datasets`.
        method: key of `METHODS`.
        codes: K; of each level for `rvq`.
        dim: length of a code; 0: 16, or 8 for `fc`; `fsq` has its own.
        levels: tables of `rvq`.
        steps, batch: optimizer steps, pictures in each.
        lr: peak learning rate.
        anneal: let the learning rate fall; without, it holds to the end.
        edges: weight of the error of the pixels' gradients.
        width, blocks, downsampling: of the network, see `NetSettings`.
        pool: pictures that are drawn for training.
        features: `lc`: `autoencoder` (trained here), `random` (gaussian), or a file of a person's own.
        settings: of the method, see `make_table`.
        save_every: steps between saved states; 0 none.
    """

    dataset: Mapping[str, Any]
    method: str = "fvq"
    codes: int = 4096
    dim: int = 0
    levels: int = 4
    steps: int = 2000
    batch: int = 32
    lr: float = 1e-3
    anneal: bool = True
    edges: float = 0.1
    width: int = 32
    blocks: int = 1
    downsampling: int = 4
    pool: int = POOL
    features: str = "autoencoder"
    settings: Mapping[str, Any] = field(default_factory=dict)
    save_every: int = 200

    def __post_init__(self) -> None:
        """Check what can be checked before anything is drawn or trained.

        Raises:
            UsageError: an unknown method, or a number out of range.
        """
        if self.method not in METHODS:
            raise UsageError(f"There is no method {self.method!r}. Known: {', '.join(METHODS)}.")
        whole = min(self.codes, self.levels, self.steps, self.batch, self.pool) >= 1 and self.dim >= 0
        if not whole or not 0 < self.lr < math.inf:
            raise UsageError("Codes, levels, steps, batch and pool must be at least 1 and the learning rate above 0.")

    @property
    def model(self) -> str:
        """Name of the model that is made so, e.g. `scenes-fvq-4096`."""
        levels = f"x{self.levels}" if self.method == "rvq" else ""
        return f"{self.dataset['name']}-{self.method}-{self.codes}{levels}"

    @property
    def code_dim(self) -> int:
        """Length of a code."""
        if self.method == "fsq":
            from backend.nn.tables import fsq_levels

            return len(fsq_levels(self.codes))
        if self.method == "lc" and not self.settings.get("projector", True) and not self.dim:
            return FEATURE_WIDTH
        return self.dim or (8 if self.method == "fc" else 16)

    @property
    def network(self) -> NetSettings:
        """The network's settings.

        Raises:
            UsageError: there is no network of such sizes.
        """
        from backend.nn.image_net import NetSettings
        from backend.nn.tables import fsq_levels

        levels = fsq_levels(self.codes) if self.method == "fsq" else ()
        try:
            return NetSettings(self.code_dim, self.width, self.blocks, self.downsampling, levels)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, as a share of the peak."""
        rise = 0.1 * self.steps
        if step + 1 < rise:
            return max(0.005, (step + 1) / rise)
        hold = rise + 0.3 * (self.steps - rise)
        if not self.anneal or step < hold:
            return 1.0
        return 1.0 - 0.99 * (step - hold) / max(1.0, self.steps - hold)

    def to_json(self) -> dict[str, Any]:
        """Return everything that makes the outcome what it is."""
        settings = asdict(self)
        del settings["save_every"]
        return settings


def quick(recipe: TokenizerRecipe) -> TokenizerRecipe:
    """Return the same recipe with few steps on few pictures: it shows that everything runs, and proves nothing."""
    return replace(recipe, steps=max(20, recipe.steps // 50), pool=256, save_every=0)
