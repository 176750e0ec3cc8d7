"""How a codebook transformer is trained, as data: nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        steps: optimizer steps.
        batch: sequences a step, on each device.
        lr: peak learning rate of the model.
        codebook_lr: of the code tables, as a multiple of `lr`.
        weight_decay: of matrices.
        warmup, decay: share of the steps at the start and at the end in which the learning rate rises and falls.
        autoencoding, commitment: weights of the codebook losses.
        straight_through: gradients pass the codes as if they were not there, as in the paper. Without, and with no commitment,
            what feeds codebooks alone (an MLP) stands still and the codes and all else learn around it: that does
            not diverge where many codes stand together.
        distill: learn the next-token distribution of the model that the codebooks went into, in place of sampled tokens.
        reset_every: steps between restarts of dead codes; 0 never. None happen in the last tenth of the run.
        save_every: steps between saved states; 0 none.
    """

    steps: int
    batch: int = 64
    lr: float = 1e-3
    codebook_lr: float = 1.0
    weight_decay: float = 0.01
    warmup: float = 0.05
    decay: float = 0.5
    autoencoding: float = 1.0
    commitment: float = 0.0
    straight_through: bool = True
    distill: bool = False
    reset_every: int = 0
    save_every: int = 500

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, as a share of the peak."""
        rise, fall = self.warmup * self.steps, self.decay * self.steps
        up = min(1.0, (step + 1) / rise) if rise >= 1 else 1.0
        down = min(1.0, (self.steps - step) / fall) if fall >= 1 else 1.0
        return up * (0.1 + 0.9 * down)
