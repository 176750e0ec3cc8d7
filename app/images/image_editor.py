"""The part of the page Image tokens that changes with a click: tools, map, what the changes reach, one cell.

A click on the map runs the map alone, so that a change is seen at once; a moment after it is seen the rest of this part follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from markupsafe import Markup

from app.components.token_map import map_data, runs_when_settled, token_map
from app.images import image_cells, image_source, image_tokens, in_words
from app.images.image_source import Picture
from app.images.image_tokens import OVERLAYS, TOOLS, View
from app.shell import address, foot, resources, session, widgets
from app.shell.names import Names
from app.shell.parts import part
from backend.analysis.pixels import to_bytes
from backend.data.images.png import encode_png
from backend.edits.token_maps import Change, Nearest, Swap
from backend.explorer import Explorer
from backend.types import CodeRef

MAP = "token-map"


@dataclass
class Editor:
    """What stays the same from click to click.

    Attributes:
        explorer: the explorer.
        model: the model's name.
        live: its live tokenizer.
        built: whether it has a build.
        seed: of the build's items.
        picture: the picture.
        last: the changes drawn last, as written, and their view.
    """

    explorer: Explorer
    model: str
    live: Any
    built: bool
    seed: int
    picture: Picture
    last: tuple[list[str], View] | None = None

    @property
    def grid(self) -> int:
        """Cells along one side."""
        return int(self.picture.pixels.shape[1] // self.live.cell)

    def counts(self, site: str) -> Any:
        """How often each code fires in the build, int `[num_codes]`; None without one."""
        return resources.aside(self.explorer).codes(self.model, site)["count"].to_numpy() if self.built else None

    def view(self, made: Sequence[Change]) -> View:
        """The picture with these changes; the last one is kept."""
        written = [str(change) for change in made]
        if self.last is None or self.last[0] != written:
            where = str(resources.data_dir())
            self.last = written, image_tokens.view(where, self.model, self.live, self.picture, made, self.other)
        return self.last[1]

    def cell(self) -> int:
        """The chosen cell of the address; -1 where there is none."""
        return address.integer("cell", -1, -1, self.grid**2 - 1)

    def other(self, name: str) -> Picture:
        """A picture that a region is copied from."""
        return image_source.picture(self.live, name, self.picture.pixels.shape[1], self.seed)


def keep_place(model: str, live: Any, picture: Picture) -> None:
    """Move the chosen cell to the same place of the picture where another tokenizer cuts the same picture otherwise."""
    grid, cell = int(picture.pixels.shape[1] // live.cell), address.text("cell", "", 10)
    before = session.kept("place", {})
    same = before.get("picture") == picture.name and before.get("cell") == cell and before.get("model") != model
    if same and before["grid"] != grid and cell.isascii() and cell.isdigit() and int(cell) < before["grid"] ** 2:
        cell = str(image_source.same_place(int(cell), before["grid"], grid))
        address.write(cell=cell)
    session.keep("place", {"model": model, "picture": picture.name, "grid": grid, "cell": cell})


@part
def draw(editor: Editor) -> None:
    """Draw it; what is chosen stands in the address."""
    runs_when_settled("settled")
    _draw(editor)


def _draw(editor: Editor) -> None:
    live, model = editor.live, editor.model
    sizes = {info.site: info.num_codes for info in live.codebooks()}
    site = address.choice("site", list(sizes), next(iter(sizes)))
    tool = address.choice("tool", list(TOOLS), "look")
    shade = address.choice("overlay", list(OVERLAYS), "none")
    lines = address.flag("lines", True)
    _tools(list(sizes), site, tool, shade, lines)
    made = image_tokens.changes()
    cell, shown = editor.cell(), editor.view(made)
    brush: dict[str, Any] = {}
    if tool != "look":
        here = max(0, int(shown.after[site].reshape(-1)[max(cell, 0)]))
        brush = image_tokens.tool_fields(tool, site, sizes[site] - 1, here, "item" if editor.built else "test")
    _map(editor, site, tool, brush, shade, lines)
    _say(editor, shown, site, cell)
    _buttons(editor, shown, site, tool, brush, made)
    if shown.footprint.edited.any():
        widgets.section(
            "What your changes reach", "decoded with and without them; a decoder looks past a cell's borders"
        )
        widgets.draw(image_cells.footprint_figures(shown.footprint))
    left, right = st.columns([3, 2], gap="medium")
    with right:
        widgets.section("Where most is lost", "the original, and below it what is decoded; with the cell error")
        widgets.draw(image_cells.worst_cells(shown, site))
    with left:
        _one_cell(editor, shown, site, cell, made)
    again = image_tokens.as_python(model, editor.picture, made, editor.seed)
    foot.offer({"cells": image_cells.cell_table(shown, site)}, again)


def _tools(sites: Sequence[str], site: str, tool: str, shade: str, lines: bool) -> None:
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="medium"
    ):  # what does not fit goes to a next line
        st.segmented_control(
            "Over the picture",
            list(OVERLAYS),
            format_func=OVERLAYS.__getitem__,
            required=True,
            wrap=True,
            **address.bound("overlay", shade, "none"),
        )
        st.segmented_control(
            "A click or a drag",
            list(TOOLS),
            format_func=TOOLS.__getitem__,
            required=True,
            wrap=True,
            **address.bound("tool", tool, "look"),
        )
        if len(sites) > 1:
            bound = address.bound("site", site, sites[0], ["code", "second"])
            st.selectbox("Codebook", sites, width=160, **bound)
        st.toggle("Grid", **address.bound("lines", lines, True))


@st.fragment
def _map(editor: Editor, site: str, tool: str, brush: Mapping[str, Any], shade: str, lines: bool) -> None:
    with widgets.guarded():
        _draw_map(editor, site, tool, brush, shade, lines)


def _draw_map(editor: Editor, site: str, tool: str, brush: Mapping[str, Any], shade: str, lines: bool) -> None:
    def on_pick() -> None:
        report = session.triggered(MAP, "picked")
        if report:
            address.write(**image_tokens.picked(report, tool, site, list(shown.before), editor.grid, brush))

    made, cell = image_tokens.changes(), editor.cell()
    shown = editor.view(made)
    other = editor.other(brush["other"]) if tool == "copy" else None
    tokens = None
    if other is not None:
        where = str(resources.data_dir())
        tokens = image_tokens.encoded(where, editor.model, other.name, other.pixels, editor.live)[0]
    data = map_data(
        image_tokens.panes(shown, other, "" if shade == "none" else OVERLAYS[shade]),
        image_tokens.cells(shown, site, editor.counts(site), tokens),
        model=editor.model,
        tool=tool,
        selected=cell if cell >= 0 else None,
        overlay=image_tokens.overlay(shown, shade, site, editor.live.table(site)),
        look={"lines": lines, "ids": shade == "codes"},
        region=image_tokens.region(),
        answer="changed",
        version=f"{cell} {image_tokens.region()} {' '.join(map(str, made))}",
        hint=image_tokens.HINTS[tool],
    )
    token_map(data, key=MAP, on_pick=on_pick)


def _say(editor: Editor, shown: View, site: str, cell: int) -> None:
    """Say what the code of the chosen cell stands for, and how far it or a person's changes reach."""
    said = in_words.your_changes(shown.footprint)
    code = -1 if cell < 0 else int(shown.after[site].reshape(-1)[cell])
    if code >= 0:
        lies, cells = int((shown.after[site] == code).sum()), shown.after[site].size
        found = editor.explorer.describe(CodeRef(editor.model, site, code)) if editor.built else None
        said = in_words.code_here(code, lies, cells, found) + said
        if not shown.footprint.edited.any() and (reach := in_words.without(editor.live, shown, site, code)):
            said += in_words.without_it(reach)
    if said:
        widgets.draw(Markup('<p aria-live="polite">{}</p>').format(said))


def _buttons(
    editor: Editor, shown: View, site: str, tool: str, brush: Mapping[str, Any], made: Sequence[Change]
) -> None:
    undo, reset, picture, codes, rest = st.columns([1, 1, 1.3, 1.3, 3.4], vertical_alignment="center")
    written = [str(change) for change in made]
    none, name = not made, f"{editor.model}-{editor.picture.name}"
    before = {"change": written[:-1]}
    undo.button("Undo", disabled=none, on_click=address.write, kwargs=before, width="stretch", shortcut="ctrl+z")
    reset.button("Reset", disabled=none, on_click=address.write, kwargs={"change": None}, width="stretch")
    with picture:
        file = encode_png(to_bytes(shown.changed))
        st.download_button("PNG", file, f"{name}.png", "image/png", on_click="ignore", width="stretch")
    with codes:
        file = image_tokens.codes_json(shown, editor.model, made).encode()
        st.download_button("Codes, JSON", file, f"{name}.json", "application/json", on_click="ignore", width="stretch")
    if tool in ("swap", "nearest"):
        swap = tool == "swap"
        change = Swap(site, brush["first"], brush["second"]) if swap else Nearest(site, brush["rank"])
        text, after = "Exchange them everywhere" if swap else "Replace all codes", {"change": [*written, str(change)]}
        rest.button(text, type="primary", on_click=address.write, kwargs=after)
    elif made:
        with rest:
            widgets.draw(image_tokens.change_list(made))


def _one_cell(editor: Editor, shown: View, site: str, cell: int, made: Sequence[Change]) -> None:
    if cell < 0:
        widgets.section("One cell")
        links = image_source.examples(
            "Its code, and others that could stand there, are shown here. Or take", image_cells.to_choose(shown, site)
        )
        widgets.empty("Choose a cell on the map.", links)
        return
    row, column = divmod(cell, editor.grid)
    widgets.section(f"Row {row}, column {column}", "codes that could stand here, each decoded in its place; best first")
    widely = address.flag("widely")
    st.toggle(f"Try up to {image_cells.TRIED:,} codes", **address.bound("widely", widely, False))
    found = image_cells.candidates(editor.live, shown, site, cell, widely)
    labels = Names(editor.explorer, editor.model)
    widgets.draw(image_cells.candidate_table(found, shown, site, cell, made, editor.model, editor.counts(site), labels))
    widgets.draw(in_words.two_errors())
