"""The weights of a checkpoint of ours: one safetensors file, taken into a model whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from backend.errors import CheckpointError

WEIGHTS = "model.safetensors"


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Load a full set of weights; matrices that share memory (tied heads) may be given once.

    Raises:
        CheckpointError: names are missing or unknown, or shapes differ; the message lists them.
    """
    state = model.state_dict()
    groups: dict[tuple[int, tuple[int, ...]], list[str]] = {}
    for name, tensor in state.items():
        groups.setdefault((tensor.data_ptr(), tuple(tensor.shape)), []).append(name)  # names of one piece of memory
    missing = [names[0] for names in groups.values() if not any(name in weights for name in names)]
    unknown = sorted(weights.keys() - state.keys())
    wrong = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(state[name].shape)}"
        for name, tensor in weights.items()
        if name in state and tensor.shape != state[name].shape
    ]
    if missing or unknown or wrong:
        raise CheckpointError(
            f"{source} does not fit its configuration. Missing: {_list_some(missing)}. Unknown: {_list_some(unknown)}. "
            f"Wrong shape: {_list_some(wrong)}."
        )
    model.load_state_dict(dict(weights), strict=False)


def _list_some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"
