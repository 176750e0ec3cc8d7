"""Neurons held near a value while a model runs: the rival of steering with codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from backend.edits.codes import HeldNeuron
from backend.nn.insertion.anatomy import decoder_layers
from backend.nn.insertion.hooks import attach
from backend.nn.insertion.model import CodebookTransformer


@contextmanager
def holding(model: CodebookTransformer, neurons: Sequence[HeldNeuron], prompt_length: int | None) -> Iterator[None]:
    """Hold some neurons inside the `with`, which must lie inside the caller's own session of the model.

    Args:
        model: the model.
        neurons: of sites `L<layer>.mlp` and `L<layer>.attn`; codebooks that sit there have already done their work.
        prompt_length: for `where`.
    """
    layers, handles = decoder_layers(model.model), []
    for site in dict.fromkeys(neuron.site for neuron in neurons):
        layer, place = site[1:].split(".")
        here = [neuron for neuron in neurons if neuron.site == site]
        move = partial(_move, model, neurons=here, prompt_length=prompt_length)
        handles += attach(layers[int(layer)], "attn" if place == "attn" else "mlp", move)
    try:
        yield
    finally:  # a hook that stays would change the answers to everybody
        for handle in handles:
            handle.remove()


def _move(model: CodebookTransformer, x: Tensor, neurons: Sequence[HeldNeuron], prompt_length: int | None) -> Tensor:
    """Return activations `[..., width]` with the neurons moved towards their values."""
    rows = x.flatten(0, -2).clone()  # [row, width]
    for neuron in neurons:
        here = model.rows(neuron.where, prompt_length)
        column = rows[:, neuron.number]
        rows[:, neuron.number] = torch.where(here, column + neuron.strength * (neuron.value - column), column)
    return rows.reshape(x.shape)
