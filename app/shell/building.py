"""A model that is not built: the button that builds it, how far that is, why it failed. For every page.

    building.offer(model)        where a page would show the model, were it built

The builds are done by the builder of `python -m app`; under plain `streamlit run` by one in this process, shared by all
sessions, which starts with the first wish. See `app.shell.builder` for how the two speak.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from pathlib import Path

import streamlit as st
from markupsafe import Markup

from app.draw import html
from app.shell import builder, resources, session
from app.shell.builder import Builder, Entry, Wish
from app.shell.environment import PROGRESS_VARIABLE
from backend.errors import BuildError

ENDED = ("done", "failed", "stopped")
LOOK_SECONDS = 1.0  # a build that is shown is looked at so often
_starting = threading.Lock()
_own: dict[Path, tuple[Builder, Path]] = {}  # data directory -> this process's builder and its progress file


def under_way() -> list[Entry]:
    """Return all builds of this app, done ones too, in the order in which they are done; see `app.shell.builder.Entry`."""
    data_dir = resources.data_dir()
    wishes = builder.asked(data_dir)
    file = _progress_file(data_dir, start=bool(wishes))
    entries = builder.read_progress(file) if file is not None else []
    known = {entry["model"]: entry for entry in entries}
    for model in wishes:  # some moments pass before the builder takes a wish up
        if model not in known:
            entries.append(builder.new_entry(model))
        elif known[model]["state"] in ("failed", "stopped"):
            known[model].update(builder.new_entry(model))
    return entries


def _progress_file(data_dir: Path, start: bool) -> Path | None:
    """The file in which the builder says how far it is; None where there is none and none is to be started."""
    path = os.environ.get(PROGRESS_VARIABLE)
    if path:
        return Path(path)
    with _starting:
        if data_dir not in _own and start:
            folder = tempfile.mkdtemp(prefix="codescope-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            progress = Path(folder) / "progress.json"
            _own[data_dir] = Builder(data_dir, progress), progress
            _own[data_dir][0].start()
            atexit.register(_own[data_dir][0].stop)  # before the folder goes: the last registered is called first
        return _own[data_dir][1] if data_dir in _own else None


def entry_of(model: str) -> Entry | None:
    """Return the build of a model; None where nobody has asked for one since the app was started."""
    return next((entry for entry in under_way() if entry["model"] == model), None)


def is_active(entry: Entry | None) -> bool:
    """Return whether a build is under way or waits for its turn."""
    return entry is not None and entry["state"] not in ENDED


def offer(model: str) -> None:
    """Draw a Build button for a model without a build, or how far its build is; the page runs again when it is done."""
    watched = _is_watched(entry_of(model))
    st.fragment(_offer, run_every=LOOK_SECONDS if watched else None)(model, watched)


def _is_watched(entry: Entry | None) -> bool:
    return entry is not None and entry["state"] not in ("failed", "stopped")


def _offer(model: str, was_watched: bool) -> None:
    entry = entry_of(model)
    if _is_watched(entry) != was_watched:
        st.rerun()  # the whole page: it knows now whether to look again
    refused = session.note(f"build.{model}")
    if refused:
        st.html(html.wrap(html.empty("It cannot be built.", refused)))
    if entry is None:
        st.button("Build", key=f"build-{model}", on_click=_ask, args=[model], type="primary")
        return
    if entry["state"] == "done":
        models = resources.explorer().models()
        if (models.loc[models["model"] == model, "built"] != "").any():
            st.rerun()  # the whole page: it shows the model now
    st.html(html.wrap(progress(entry, waits_for(model, under_way()))))
    if entry["state"] in ("failed", "stopped"):
        text = "Try again" if entry["state"] == "failed" else "Go on"
        st.button(text, key=f"again-{model}", on_click=_ask, args=[model])
    elif entry["state"] != "done":
        st.button("Stop", key=f"stop-{model}", on_click=_ask, args=[model, builder.STOP], type="tertiary")


def _ask(model: str, kind: Wish = builder.BUILD) -> None:
    try:
        builder.ask(resources.data_dir(), model, kind)
    except BuildError as error:
        session.note(f"build.{model}", str(error))


def line() -> None:
    """Draw in one line what is being built, kept up to date; nothing where nothing is."""
    if any(is_active(entry) for entry in under_way()):
        st.fragment(lambda: st.html(html.wrap(summary(under_way()))), run_every=LOOK_SECONDS)()


def can_build(model: str) -> bool:
    """Return whether a model of the catalog has weights, and may have codebooks."""
    models = resources.explorer().models()
    about = models[(models["model"] == model) & models["checkpoint"]]
    return len(about) == 1 and model not in set(models["base"])


def next_of(names: list[str]) -> str:
    """Return which of some models to offer: one that is being built already, else the first of the catalog's demos."""
    for entry in under_way():
        if entry["model"] in names:
            return entry["model"]
    models = resources.explorer().models()
    able = models[models["model"].isin(names) & models["checkpoint"]]
    able = able.sort_values("demo", key=lambda demo: demo.where(demo > 0, 10**6), kind="stable")
    return str(able["model"].iloc[0]) if len(able) else names[0]


def waits_for(model: str, entries: list[Entry]) -> int:
    """Return how many builds come before a model's."""
    before = 0
    for entry in entries:
        if entry["model"] == model:
            break
        before += is_active(entry)
    return before


def progress(entry: Entry, before: int = 0) -> Markup:
    """Draw how far one build is.

    Args:
        entry: the build.
        before: builds that come before it.
    """
    state, share = entry["state"], entry["share"] or 0.0
    if state == "failed":
        return Markup('<div class="build failed" role="alert"><b>It could not be built.</b> {}</div>').format(
            html.visible_label(entry["line"])
        )
    if state == "waiting":
        turn = {0: "it is next", 1: "1 build comes before it"}.get(before, f"{before} builds come before it")
        text = f"waiting for its turn: {turn}"
    elif state == "building":
        left = f", {duration(entry['left'])} left" if entry["left"] is not None else ""
        text = f"{share:.0%}{left} · {entry['line']}".replace("%", " %") if entry["line"] else "starting"
    else:
        text = "built; it opens in a moment" if state == "done" else entry["line"] or state
    return Markup(
        '<div class="build"><div class="track" role="progressbar" aria-label="build of {}" aria-valuemin="0" '
        'aria-valuemax="100" aria-valuenow="{:.0f}"><i style="width:{:.1f}%"></i></div><span class="faint">{}</span></div>'
    ).format(entry["model"], 100 * share, 100 * share, html.visible_label(text))


def duration(seconds: float) -> str:
    """Return a time in words: `12 s`, `3 min 20 s`, `1 h 5 min`."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def summary(entries: list[Entry]) -> Markup:
    """Draw in one line what is being built; nothing where nothing is."""
    active = [entry for entry in entries if is_active(entry)]
    if not active:
        return Markup("")
    first = active[0]
    left = f", {duration(first['left'])} left" if first["left"] is not None else ""
    share = f" {first['share']:.0%}{left}".replace("%", " %") if first["share"] else ""
    rest = f"; {len(active) - 1} more after it" if len(active) > 1 else ""
    done = sum(entry["state"] == "done" for entry in entries)
    text = f"{first['model']}{share}{rest}" + (f"; {done} done" if done else "")
    note = "Each can be opened as soon as it is done."
    return Markup('<p class="faint"><b>Being built:</b> {}. {}</p>').format(text, note)
