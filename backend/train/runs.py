"""What is the same for every training run, whatever it trains: its seed, its device, and where it leaves its state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from backend.train.stages import Staged
from backend.types import Progress


@dataclass(frozen=True)
class Run:
    """What is the same for every training run.

    Attributes:
        seed: of everything random in it.
        device: `auto` (a GPU if there is one), `cpu` or `cuda`.
        state: file for what is needed to go on after a stop.
        resume: go on from `state` if it is there.
        progress: called with (what, done, total).
        log: JSON lines of step, losses and seconds are added to this file.
        stages: what the stages of the run report to, in the place of `progress`.
    """

    seed: int = 0
    device: str = "auto"
    state: Path | None = None
    resume: bool = False
    progress: Progress | None = None
    log: Path | None = None
    stages: Staged | None = None

    def progress_of(self, stage: str) -> Progress | None:
        """Return what a stage of the run reports to."""
        return self.progress if self.stages is None else self.stages.stage(stage)

    @property
    def saved(self) -> Path | None:
        """The state to go on from; None: the run starts from the beginning."""
        return self.state if self.resume and self.state is not None and self.state.exists() else None

    @property
    def torch_device(self) -> torch.device:
        """Where a single process trains; `cuda` where there is no GPU is the CPU."""
        return torch.device("cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu")


def measuring_device(device: str) -> str:
    """Return where a model is measured that was trained on `device`: `auto` is the CPU, `cpu` and `cuda` are themselves.

    Figures that are put beside each other come from one kind of device, whatever the machine has that trained the model.
    """
    return "cpu" if device == "auto" else device
