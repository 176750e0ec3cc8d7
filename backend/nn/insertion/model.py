"""Codebooks in any Hugging Face causal language model, put in by hooks on its own modules.

No attention code is copied: the model's forward pass, its KV cache and `generate` stay as they are, and the hooks
replace an activation by its codes on the way. One `CodebookTransformer` holds the model, the codebook layers and the
*session*: the edits in force and what is recorded. A session lives inside one `with model.session(...)`; threads take
turns, so that each is in force alone.

Positions of edits are counted from the first token that is not padding, through cached and uncached steps alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.edits.codes import Where, first_generated
from backend.errors import UnknownCode, Unsupported
from backend.nn.insertion import kv_cache
from backend.nn.insertion.anatomy import LayerParts, decoder_layers, num_heads
from backend.nn.insertion.bottleneck import CodebookConfig, CodebookLayer, PlacedEdit
from backend.nn.insertion.placement import PLACES, Place, Placement
from backend.nn.insertion.session import Session
from backend.nn.turns import Turns
from backend.types import CodebookInfo, Edit


class CodebookTransformer(nn.Module):
    """A causal language model with codebooks in it.

    Attributes:
        model: the Hugging Face model; call it and its `generate` as always.
        codebooks: `L0:attn` and so on -> `CodebookLayer`.
        placements: as given.
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
        self.enabled = True
        self._session: Session | None = None
        self._turns = Turns()
        self._positions = torch.zeros(0)
        self._infos: dict[str, tuple[str, int]] = {}
        self._collect: tuple[str, Callable[[Tensor], None]] | None = None
        self._residual: dict[str, Tensor] = {}
        model.register_forward_pre_hook(self._note_positions, with_kwargs=True)
        layers = decoder_layers(model)
        chosen: list[tuple[int, int, Placement]] = []
        order = {"qkv": 0, "attn": 1, "attn_out": 2, "mlp_mid": 3, "mlp": 4, "attn_plus_mlp": 5, "block": 6}
        for placement in self.placements:
            for index in placement.layers or range(len(layers)):
                if not 0 <= index < len(layers):
                    raise ValueError(f"There is no layer {index}: the model has layers 0 to {len(layers) - 1}.")
                chosen.append((index, order[placement.place], placement))
        widths = self._widths(layers, {(index, placement.place) for index, _, placement in chosen})
        for index, _, placement in sorted(chosen, key=lambda entry: entry[:2]):
            name = f"L{index}:{placement.place}"
            if name in self.codebooks:
                raise ValueError(f"Place {placement.place!r} is given twice for layer {index}.")
            groups = placement.groups or (num_heads(model) if placement.place == "attn" else 1)
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
                self._infos[_site(index, placement.place, groups, group)] = (name, group)
            self._hook(name, placement.place, layers[index])

    # -- what there is ---------------------------------------------------------------------------------------------

    def infos(self) -> list[CodebookInfo]:
        """All codebooks in the order of the forward pass."""
        found = []
        for site, (name, group) in self._infos.items():
            layer, place = name[1:].split(":")
            config = self.layer(name).config
            found.append(
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
        return found

    def layer(self, name: str) -> CodebookLayer:
        """The codebook layer of that name (`L0:attn`)."""
        layer = self.codebooks[name]
        assert isinstance(layer, CodebookLayer)
        return layer

    def sites(self, name: str) -> list[str]:
        """Names of the codebooks of one codebook layer, group by group."""
        return [site for site, (layer, _) in self._infos.items() if layer == name]

    def where(self, site: str) -> tuple[CodebookLayer, int]:
        """Layer and group of a site.

        Raises:
            UnknownCode: the model has no such codebook.
        """
        if site not in self._infos:
            raise UnknownCode(
                f"There is no codebook {site[:80]!r} in this model. It has: {', '.join(self._infos) or 'none'}."
            )
        name, group = self._infos[site]
        return self.layer(name), group

    def loss(self) -> Tensor:
        """Sum of the codebook layers' losses in the last training forward."""
        losses = [self.layer(name).loss for name in self.codebooks]
        return torch.stack(losses).sum() if losses else torch.zeros((), device=self.model.device)

    # -- running it ------------------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own forward pass, codebooks included."""
        return self.model(*args, **kwargs)

    @contextmanager
    def session(
        self,
        edits: Iterable[Edit] = (),
        *,
        prompt_length: int | Tensor | None = None,
        forced: Mapping[str, Tensor] | None = None,
        record: bool = False,
        probe: bool = False,
    ) -> Iterator[Session]:
        """Apply edits and record codes inside the `with`; the model is as before afterwards.

        Waits while another thread has a session. A session should hold one forward pass, so that others get their turn.

        Raises:
            RuntimeError: this thread has a session already; they do not nest.
            UnknownCode: an edit names a codebook, code or slot that is not there.
        """
        session = Session(tuple(edits), prompt_length, forced or {}, record, probe=probe)
        for site in session.forced:
            self.where(site)
        for edit in session.edits:
            layer, _ = self.where(edit.site)
            if not -1 <= edit.code < layer.config.codes or (edit.code == -1 and edit.action != "force"):
                raise UnknownCode(
                    f"Codebook {edit.site!r} has codes 0 to {layer.config.codes - 1}; {edit.code} is not one."
                )
            if edit.slot is not None and not 0 <= edit.slot < layer.config.k:
                raise UnknownCode(
                    f"Codebook {edit.site!r} has slots 0 to {layer.config.k - 1}; {edit.slot} is not one."
                )
        with self._turns.taken():
            self._session = session
            try:
                yield session
            finally:
                self._session = None

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Run the plain model inside the `with`: all codebooks let activations through."""
        before, self.enabled = self.enabled, False
        try:
            yield
        finally:
            self.enabled = before

    @contextmanager
    def collecting(self, name: str, sink: Callable[[Tensor], None]) -> Iterator[None]:
        """Hand the rows `[group, row, dim]` that reach one layer's codebook to `sink`, inside the `with`.

        That layer and those behind it let activations through.
        """
        self._collect = (name, sink)
        try:
            yield
        finally:
            self._collect = None

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
            positions = positions - (mask.cumsum(-1) == 0).sum(-1, keepdim=True)
        self._positions = positions

    # -- hooks -----------------------------------------------------------------------------------------------------

    def _note_positions(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tokens = args[0] if args else kwargs.get("input_ids")
        if tokens is None:
            tokens = kwargs["inputs_embeds"]
        cache = kv_cache.given(kwargs)
        past = int(cache.get_seq_length()) if cache is not None else 0
        self.note_positions(tokens, past, kwargs.get("attention_mask"))

    def _through(self, name: str, x: Tensor) -> Tensor:
        """What a hook puts in place of activation `x`."""
        layer = self.layer(name)
        if self._collect is not None:
            target, sink = self._collect
            names = list(self.codebooks)
            if names.index(name) >= names.index(target):
                if name == target:
                    sink(layer.split(x.detach()))
                return x
        if not self.enabled:
            return x
        session = self._session
        if session is None:
            return layer(x)
        edits = self._placed(name, session)
        if not edits and not session.record and not session.probe:
            return layer(x)
        out, found = layer.edited(x, edits, report=session.record)
        if session.record:
            session.recorded.setdefault(name, []).append(found)
        if session.probe:
            session.probes[name] = torch.zeros_like(out, requires_grad=True)
            out = out + (x - x.detach()) + session.probes[name]
        return out

    def _placed(self, name: str, session: Session) -> list[PlacedEdit]:
        """The edits of one layer; codes that are forced one after the other, or added, at the same positions become one."""
        placed = [
            PlacedEdit(
                group,
                Edit(site, 0),
                torch.ones(self._positions.numel(), dtype=torch.bool, device=codes.device),
                codes.flatten(0, 1),
            )
            for site, codes in session.forced.items()
            for place, group in (self._infos[site],)
            if place == name
        ]
        rows: dict[Where, Tensor | None] = {}  # None: nowhere in this forward pass
        last: dict[int, tuple[Where, Tensor]] = {}  # group -> the positions that are forced, the codes in their slots
        added: dict[tuple[int, Where], tuple[Tensor, list[Edit]]] = {}
        for edit in session.edits:
            place, group = self._infos[edit.site]
            if place != name:
                continue
            if edit.where not in rows:
                found = self.rows(edit.where, session.prompt_length)
                rows[edit.where] = found if found.any() else None
            if (at := rows[edit.where]) is None:
                continue
            if edit.action == "add":
                added.setdefault((group, edit.where), (at, []))[1].append(edit)
                continue
            if edit.action != "force":
                placed.append(PlacedEdit(group, edit, at))
                last.pop(group, None)
                continue
            if group not in last or last[group][0] != edit.where:
                codes = self._positions.new_full((self.layer(name).config.k,), -2, dtype=torch.int64)
                last[group] = edit.where, codes
                everywhere = codes.expand(self._positions.numel(), -1)
                placed.append(PlacedEdit(group, Edit(edit.site, 0), at, everywhere))
            last[group][1][slice(None) if edit.slot is None else edit.slot] = edit.code
        for (group, _), (at, some) in added.items():
            table = self.layer(name).table.detach()[group]
            strengths = torch.tensor([edit.strength for edit in some], dtype=table.dtype, device=table.device)
            placed.append(PlacedEdit(group, some[0], at, added=strengths @ table[[edit.code for edit in some]]))
        return placed

    def rows(self, where: Where, prompt: int | Tensor | None) -> Tensor:
        """bool `[row]`: the positions of the flattened batch of this forward pass that are meant.

        Args:
            where: as of an `Edit`.
            prompt: `Session.prompt_length`.
        """
        positions = self._positions
        if where == "all":
            rows = positions >= 0
        elif where == "prompt":
            rows = (positions >= 0) if prompt is None else (positions >= 0) & (positions < prompt)
        elif (new := first_generated(where)) is not None:
            rows = (
                torch.zeros_like(positions, dtype=torch.bool)
                if prompt is None
                else (positions >= prompt) & (positions < prompt + new)
            )
        else:
            length = int(positions.max()) + 1 if prompt is None else prompt
            wanted = torch.tensor(where, device=positions.device)
            rows = torch.isin(positions, wanted[wanted >= 0])
            rows |= torch.isin(positions - length, wanted[wanted < 0]) & (positions >= 0)
        return rows.reshape(-1)

    def _hook(self, name: str, place: Place, parts: LayerParts) -> None:
        def after(_module: nn.Module, _args: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (self._through(name, output[0]), *output[1:])
            return self._through(name, output)

        def before(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return (self._through(name, args[0]), *args[1:])

        def remember(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._residual[name] = args[0] if args else kwargs["hidden_states"]

        def around(_module: nn.Module, _args: Any, output: Any) -> Any:
            residual = self._residual.pop(name)
            stream = output[0] if isinstance(output, tuple) else output
            delta = stream - residual
            if (coded := self._through(name, delta)) is delta:
                return output  # let through: not even rounding changes
            stream = residual + coded
            return (stream, *output[1:]) if isinstance(output, tuple) else stream

        if place == "attn_plus_mlp":
            parts.layer.register_forward_pre_hook(remember, with_kwargs=True)
            parts.layer.register_forward_hook(around)
        elif place == "attn":
            parts.out_projection.register_forward_pre_hook(before)
        else:
            _module(parts, place).register_forward_hook(after)

    @torch.no_grad()
    def _widths(self, layers: list[LayerParts], wanted: set[tuple[int, Place]]) -> dict[tuple[int, Place], int]:
        """Width of the activation at each place, seen in one forward pass of one token."""
        widths: dict[tuple[int, Place], int] = {}
        handles = []
        for index, place in wanted:

            def see(_module: nn.Module, args: Any, output: Any, key: tuple[int, Place] = (index, place)) -> None:
                value = args[0] if key[1] == "attn" else output[0] if isinstance(output, tuple) else output
                widths[key] = value.shape[-1]

            module = layers[index].layer if place == "attn_plus_mlp" else _module(layers[index], place)
            handles.append(module.register_forward_hook(see))
        training = self.model.training
        try:
            if wanted:
                self.model.eval()
                self.model(torch.zeros((1, 1), dtype=torch.long, device=self.model.device), use_cache=False)
        finally:
            self.model.train(training)
            for handle in handles:
                handle.remove()
        return widths


def _module(parts: LayerParts, place: Place) -> nn.Module:
    found = {
        "attn": parts.out_projection,
        "attn_out": parts.attention,
        "mlp": parts.mlp,
        "block": parts.layer,
        "mlp_mid": parts.activation,
        "qkv": parts.qkv,
    }[place]
    if found is None:
        raise Unsupported(f"This model has no place {place!r} ({PLACES[place]}).")
    return found


def _site(layer: int, place: Place, groups: int, group: int) -> str:
    if groups == 1:
        return f"L{layer}.{place}"
    return f"L{layer}.{place}.{'h' if place == 'attn' else 'g'}{group}"
