"""What codes are called on every page: a person's newest label, else what the build says that a code fires on.

What the codes of a codebook fire on takes from a tenth of a second to half a minute to find out. A page never waits for it:

1. Who draws a chip asks for its name; the codebook is put in a queue, and a thread of the process works it off.
2. A page waits a moment for a codebook that is quickly done. Chips of the others have no name for now.
3. When the queue is empty, the page is drawn once more, with all names.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from queue import Queue

import streamlit as st

from app.draw.html import Spoken
from app.shell import resources
from app.shell.trace import trace
from backend.errors import CodescopeError
from backend.explorer import Explorer
from backend.types import CodeRef

AGAIN = 1.0  # seconds between two looks at the queue
PATIENCE = 0.15  # seconds that one run of a page waits for names, all codebooks together
LONGEST = 40  # characters of a name
_log = logging.getLogger(__name__)


class _Finder:
    """Finds the names of codebooks in a thread of its own, one after another; shared by all sessions of the process."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Future[dict[int, str]]] = {}
        self._queue: Queue[tuple[Future[dict[int, str]], Explorer, str, str]] = Queue()
        # a daemon: whoever ends the app does not wait for names
        threading.Thread(target=self._work, daemon=True, name="names").start()

    def ask(self, explorer: Explorer, model: str, site: str) -> Future[dict[int, str]]:
        """Put a codebook of the model's newest build in the queue, where it is not known already."""
        key = (explorer.build(model), site)
        if key not in self._known:
            self._known[key] = Future()
            self._queue.put((self._known[key], explorer, model, site))
        return self._known[key]

    def _work(self) -> None:
        while True:
            future, explorer, model, site = self._queue.get()
            try:
                future.set_result(_names(explorer, model, site))
            except Exception:  # chips without names are better than a thread that has ended
                _log.exception("the names of %s of %s", site, model)
                future.set_result({})


@st.cache_resource(show_spinner=False)
def _finder() -> _Finder:
    return _Finder()


def _names(explorer: Explorer, model: str, site: str) -> dict[int, str]:
    """Return code -> what it fires on, shortened."""
    try:
        frame = explorer.code_names(model, site)
    except CodescopeError:  # the build was replaced while its turn came
        return {}
    return {int(code): _short(str(name)) for code, name in zip(frame["code"], frame["name"], strict=True) if name}


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


class Names(Mapping[CodeRef, str]):
    """Code -> its name, for chips of any model: a person's label as a `str`, a description as `Spoken`.

    Only people's labels are counted and gone through; a description is looked up where a code is asked for.
    """

    def __init__(self, explorer: Explorer, model: str = "") -> None:
        """Look at the people's labels of a model; without one, at those of any model that is asked for."""
        self._explorer = explorer
        self._labels: dict[str, Mapping[CodeRef, str]] = {}
        self._model = model
        self._until = time.monotonic() + PATIENCE
        self._found: dict[tuple[str, str], Mapping[int, str]] = {}

    def _of_people(self, model: str) -> Mapping[CodeRef, str]:
        if model not in self._labels:
            self._labels[model] = self._explorer.people.newest_labels(model)
        return self._labels[model]

    def of_site(self, model: str, site: str) -> Mapping[int, str]:
        """Return code -> description of a codebook; empty as long as it is not known."""
        if (model, site) in self._found:
            return self._found[model, site]
        try:
            future = _finder().ask(resources.shared_explorer(), model, site)
            found = future.result(timeout=max(0.0, self._until - time.monotonic()))
        except TimeoutError:
            trace().waiting.append(future)
            found = {}
        except CodescopeError:  # a list may hold codes of models that are gone
            found = {}
        self._found[model, site] = found
        return found

    def __getitem__(self, ref: CodeRef) -> str:
        if label := self._of_people(ref.model).get(ref):
            return label
        if name := self.of_site(ref.model, ref.site).get(ref.code):
            return Spoken(name)
        raise KeyError(ref)

    def __iter__(self) -> Iterator[CodeRef]:
        return iter(self._of_people(self._model))

    def __len__(self) -> int:
        return len(self._of_people(self._model))

    def __bool__(self) -> bool:
        return True  # it has names to give, even where no person has given any


def await_names() -> None:
    """Draw the page once more when the names are known that its chips had to do without."""
    if waiting := list(trace().waiting):
        _await(waiting)


@st.fragment(run_every=AGAIN)
def _await(waiting: list[Future[dict[int, str]]]) -> None:
    if all(future.done() for future in waiting):
        st.rerun()
