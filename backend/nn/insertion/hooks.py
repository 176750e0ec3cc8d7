"""Hooks at the places of a decoder layer: read the activation of a place, or put another in its stead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from backend.errors import Unsupported
from backend.nn.insertion.anatomy import LayerParts
from backend.nn.insertion.placement import PLACES, Place

# an activation -> what goes on in its stead; itself: nothing changes, not even rounding
Change = Callable[[Tensor], Tensor]


def attach(parts: LayerParts, place: Place, change: Change, *, first: bool = False) -> list[RemovableHandle]:
    """Let `change` see and replace the activation of a place in every forward pass, until the handles are removed.

    Args:
        parts: of the decoder layer.
        place: key of `PLACES`.
        change: called with the activation `[..., width]`.
        first: before all hooks that are there; otherwise after them.

    Raises:
        Unsupported: the model has no such place.
    """
    kind = PLACES[place]
    module: nn.Module | None = getattr(parts, kind.part)
    if module is None:
        raise Unsupported(f"This model has no place {place!r} ({kind.about}).")
    if kind.side == "input":
        return [
            module.register_forward_pre_hook(lambda _module, args: (change(args[0]), *args[1:]), prepend=first),
        ]
    if kind.side == "output":
        return [
            module.register_forward_hook(
                lambda _module, _args, output: _with_first(output, change(_first(output))), prepend=first
            )
        ]
    before: list[Tensor] = []  # what went into the module whose output is awaited

    def remember(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        before[:] = [args[0] if args else kwargs["hidden_states"]]

    def around(_module: nn.Module, _args: Any, output: Any) -> Any:
        residual = before.pop()
        delta = _first(output) - residual
        changed = change(delta)
        # a sum of what was subtracted would differ in its last bit
        return output if changed is delta else _with_first(output, residual + changed)

    return [
        module.register_forward_pre_hook(remember, with_kwargs=True, prepend=first),
        module.register_forward_hook(around, prepend=first),
    ]


def _first(output: Any) -> Tensor:
    """Return the activation in what a module put out: transformers wraps some in a tuple, with attention weights behind it."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor


def _with_first(output: Any, tensor: Tensor) -> Any:
    """Return what a module put out with another activation in it."""
    return (tensor, *output[1:]) if isinstance(output, tuple) else tensor
