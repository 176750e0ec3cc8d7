"""What transformers calls the cache of keys and values: `cache` from 5.24 on, `past_key_values` before."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from transformers import Cache, PreTrainedModel

_NAMES = ("cache", "past_key_values")


def argument(model: PreTrainedModel) -> str:
    """Return the name under which the model's `forward` takes it."""
    parameters = inspect.signature(model.forward).parameters
    return next((name for name in _NAMES if name in parameters), _NAMES[-1])


def find_cache(arguments: Mapping[str, Any]) -> Cache | None:
    """Return the cache among the named arguments of a call; None where there is none."""
    return next((arguments[name] for name in _NAMES if arguments.get(name) is not None), None)
