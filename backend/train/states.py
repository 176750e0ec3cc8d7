"""What a training run leaves on the disk: the state from which it goes on after a stop, and its log."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from backend.errors import CheckpointError
from backend.files import replacing

LOG_LINES = 40  # of a log that a model card keeps


def write_state(path: Path, identity: str, content: Mapping[str, Any]) -> None:
    """Replace a state at once.

    Args:
        path: the file.
        identity: of the run: its settings, written out.
        content: numbers, tensors and text; `identity` is added.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        torch.save({"identity": identity, **content}, file)


def read_state(path: Path, identity: str) -> dict[str, Any]:
    """Read a state as `write_state` left it.

    Raises:
        CheckpointError: it cannot be read, or is another run's.
    """
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        writer = str(content["identity"])
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path} cannot be read: it holds other things than numbers, which are never loaded. Delete it to start again."
        ) from None
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}). Delete it to start again.") from error
    if writer != identity:
        raise CheckpointError(
            f"{path} was written by a run with other settings ({writer}). "
            "Repeat that run's options, or delete the file to start again."
        )
    return content


def read_log(file: Path | None) -> list[dict[str, Any]]:
    """Return at most some `LOG_LINES` lines of a training log, the last one among them; empty where there is none.

    A run that was killed and went on from its last saved state has some steps twice: the later line counts. A line that
    was cut off by a kill is left out.
    """
    if file is None or not file.exists():
        return []
    by_step: dict[int, dict[str, Any]] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            by_step[int(entry["step"])] = entry
        except (ValueError, KeyError, TypeError):
            continue
    entries = [by_step[step] for step in sorted(by_step)]
    return entries[: -1 : max(1, len(entries) // LOG_LINES)] + entries[-1:]
