"""Codebooks in any Hugging Face causal language model, put in by hooks on its own modules.

No attention code is copied: the model's forward pass, its KV cache and `generate` stay as they are, and the hooks
replace an activation by its codes on the way. One `CodebookTransformer` holds the model, the codebook layers and the
*mode* in force (`modes`), such as a session with its edits. A mode lives inside one `with model.session(...)`; threads take
turns, so that each is in force alone.

Positions of edits are counted from the first token that is not padding, through cached and uncached steps alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.edits.codes import Edit, Where
from backend.errors import UnknownCode
from backend.nn.insertion import kv_cache
from backend.nn.insertion.anatomy import LayerParts, decoder_layers, num_heads
from backend.nn.insertion.bottleneck import CodebookConfig, CodebookLayer
from backend.nn.insertion.edits import ReadyEdits, Site, make_ready, rows_at
from backend.nn.insertion.hooks import attach
from backend.nn.insertion.modes import Collecting, Mode, Off, Probing, Session
from backend.nn.insertion.placement import PLACES, Place, Placement
from backend.nn.turns import Turns
from backend.types import CodebookInfo

PLAIN = Mode()


class CodebookTransformer(nn.Module):
    """A causal language model with codebooks in it.

    Attributes:
        model: the Hugging Face model; call it and its `generate` as always.
        codebooks: `L0:attn` and so on -> `CodebookLayer`.
        placements: where codebooks are, and of what kind.
    """

    def __init__(self, model: PreTrainedModel, placements: Sequence[Placement] = ()) -> None:
        """Put codebooks into `model`, whose weights stay untouched.

        Raises:
            Unsupported: the model has no such place.
            ValueError: groups do not divide a width, layers do not exist, a place is given twice for a layer.
        """
        super().__init__()
        self.model = model
        self.placements = tuple(placements)
        self.codebooks = nn.ModuleDict()
        self._mode = PLAIN
        self._turns = Turns()
        self._positions = torch.zeros(0)
        self._infos: dict[str, tuple[str, int]] = {}
        model.register_forward_pre_hook(self._note_positions, with_kwargs=True)
        layers = decoder_layers(model)
        chosen: list[tuple[int, int, Placement]] = []
        order = list(PLACES)
        for placement in self.placements:
            for index in placement.layers or range(len(layers)):
                if not 0 <= index < len(layers):
                    raise ValueError(f"There is no layer {index}: the model has layers 0 to {len(layers) - 1}.")
                chosen.append((index, order.index(placement.place), placement))
        widths = self._widths(layers, {(index, placement.place) for index, _, placement in chosen})
        for index, _, placement in sorted(chosen, key=lambda entry: entry[:2]):
            name = f"L{index}:{placement.place}"
            if name in self.codebooks:
                raise ValueError(f"Place {placement.place!r} is given twice for layer {index}.")
            groups = placement.groups or (num_heads(model) if PLACES[placement.place].by_head else 1)
            config = CodebookConfig(
                widths[index, placement.place],
                groups,
                placement.codes,
                placement.k,
                placement.similarity,
                placement.combine,
                placement.layer_norm,
            )
            self.codebooks[name] = CodebookLayer(config).to(model.device, model.dtype)
            for group in range(groups):
                self._infos[_site_name(index, placement.place, groups, group)] = (name, group)
            attach(layers[index], placement.place, partial(self._through, name))

    # -- what there is ---------------------------------------------------------------------------------------------

    def infos(self) -> list[CodebookInfo]:
        """Return all codebooks in the order of the forward pass."""
        infos = []
        for site, (name, group) in self._infos.items():
            layer, place = name[1:].split(":")
            config = self.layer(name).config
            infos.append(
                CodebookInfo(
                    site=site,
                    num_codes=config.codes,
                    dim=config.dim // config.groups,
                    slots=config.k,
                    layer=int(layer),
                    head=group if config.groups > 1 else None,
                    place=place,
                    similarity=config.similarity,
                )
            )
        return infos

    def layer(self, name: str) -> CodebookLayer:
        """Return the codebook layer of that name (`L0:attn`)."""
        layer = self.codebooks[name]
        assert isinstance(layer, CodebookLayer)
        return layer

    def sites(self, name: str) -> list[str]:
        """Return names of the codebooks of one codebook layer, group by group."""
        return [site for site, (layer, _) in self._infos.items() if layer == name]

    def where(self, site: str) -> tuple[CodebookLayer, int]:
        """Return layer and group of a site.

        Raises:
            UnknownCode: the model has no such codebook.
        """
        _, layer, group = self._site(site)
        return layer, group

    def _site(self, site: str) -> Site:
        if site not in self._infos:
            raise UnknownCode(
                f"There is no codebook {site[:80]!r} in this model. It has: {', '.join(self._infos) or 'none'}."
            )
        name, group = self._infos[site]
        return name, self.layer(name), group

    def loss(self) -> Tensor:
        """Return the sum of the codebook layers' losses in the last training forward."""
        losses = [self.layer(name).loss for name in self.codebooks]
        return torch.stack(losses).sum() if losses else torch.zeros((), device=self.model.device)

    # -- running it ------------------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's own forward pass, codebooks included."""
        return self.model(*args, **kwargs)

    @contextmanager
    def session(
        self,
        edits: Iterable[Edit] | ReadyEdits = (),
        *,
        prompt_length: int | Tensor | None = None,
        forced: Mapping[str, Tensor] | None = None,
        record: bool = False,
        probe: bool = False,
    ) -> Iterator[Session]:
        """Apply edits and record codes inside the `with`; the model is as before afterwards.

        Waits while another thread has a session. A session should hold one forward pass, so that others get their turn.

        Args:
            edits: in the order in which they apply; whoever opens one session after the other makes them `ready` before.
            prompt_length: tokens that count as the prompt, one number or int64 `[batch, 1]`; None: all are prompt.
            forced: site -> int64 `[batch, length]` or `[batch, length, slot]`: a code for each position, for a single uncached
                forward pass; -1 empties the slot, -2 leaves it as it is. Applied before the edits.
            record: keep what the codebooks chose.
            probe: let gradients through and gather what they are taken by, see `Probing`.

        Raises:
            RuntimeError: this thread has a session already; they do not nest.
            UnknownCode: an edit names a codebook, code or slot that is not there.
        """
        by_layer: dict[str, list[tuple[int, Tensor]]] = {}
        for site, codes in (forced or {}).items():
            name, _, group = self._site(site)
            by_layer.setdefault(name, []).append((group, codes))
        kind: type[Session] = Probing if probe else Session
        session = kind(self.ready(edits), prompt_length, by_layer, record)
        with self._in_force(session):
            yield session

    def ready(self, edits: Iterable[Edit] | ReadyEdits) -> ReadyEdits:
        """Make edits ready for `session`; those that are need nothing more, so token by token they cost little.

        Raises:
            UnknownCode: an edit names a codebook, code or slot that is not there.
        """
        if isinstance(edits, ReadyEdits) and edits.owner is self:
            return edits
        assert not isinstance(edits, ReadyEdits), "edits that were made ready for another model"
        return make_ready(edits, self._site, self)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Run the plain model inside the `with`: all codebooks let activations through."""
        with self._in_force(Off()):
            yield

    @contextmanager
    def collecting(self, name: str, sink: Callable[[Tensor], None]) -> Iterator[None]:
        """Hand the rows `[group, row, dim]` that reach one layer's codebook to `sink`, inside the `with`.

        That layer and those behind it let activations through.
        """
        names = list(self.codebooks)
        with self._in_force(Collecting(name, frozenset(names[names.index(name) + 1 :]), sink)):
            yield

    @contextmanager
    def _in_force(self, mode: Mode) -> Iterator[None]:
        with self._turns.taken():
            self._mode = mode
            try:
                yield
            finally:
                self._mode = PLAIN

    def note_positions(self, tokens: Tensor, past: int = 0, mask: Tensor | None = None) -> None:
        """Say which positions the next forward pass is at; done by a hook wherever the whole model is called.

        Args:
            tokens: `[batch, length, ...]`.
            past: positions in the cache.
            mask: `[batch, past + length]`, 0 for padding on the left.
        """
        batch, length = tokens.shape[:2]
        positions = torch.arange(past, past + length, device=tokens.device).expand(batch, length)
        if mask is not None and mask.ndim == 2:
            # padding on the left gets numbers below 0
            positions = positions - (mask.cumsum(-1) == 0).sum(-1, keepdim=True)
        self._positions = positions

    # -- hooks -----------------------------------------------------------------------------------------------------

    def _note_positions(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tokens = args[0] if args else kwargs.get("input_ids")
        if tokens is None:
            tokens = kwargs["inputs_embeds"]
        cache = kv_cache.find_cache(kwargs)
        past = int(cache.get_seq_length()) if cache is not None else 0
        self.note_positions(tokens, past, kwargs.get("attention_mask"))

    def _through(self, name: str, x: Tensor) -> Tensor:
        """Return what a hook puts in place of activation `x`."""
        return self._mode.through(name, self.layer(name), x, self._positions)

    def rows(self, where: Where, prompt: int | Tensor | None) -> Tensor:
        """Return the positions of the flattened batch of this forward pass that are meant, bool `[row]`; see `rows_at`."""
        return rows_at(self._positions, where, prompt)

    @torch.no_grad()
    def _widths(self, layers: list[LayerParts], places: set[tuple[int, Place]]) -> dict[tuple[int, Place], int]:
        """Return the width of the activation at each place, seen in one forward pass of one token."""
        widths: dict[tuple[int, Place], int] = {}
        handles = []
        for index, place in places:

            def see(value: Tensor, key: tuple[int, Place] = (index, place)) -> Tensor:
                widths[key] = value.shape[-1]
                return value

            handles += attach(layers[index], place, see)
        training = self.model.training
        try:
            if places:
                self.model.eval()
                self.model(torch.zeros((1, 1), dtype=torch.long, device=self.model.device), use_cache=False)
        finally:
            self.model.train(training)
            for handle in handles:
                handle.remove()
        return widths


def _site_name(layer: int, place: Place, groups: int, group: int) -> str:
    if groups == 1:
        return f"L{layer}.{place}"
    return f"L{layer}.{place}.{'h' if PLACES[place].by_head else 'g'}{group}"
