"""What codes are called on every page: a person's newest label, else what the build says that a code fires on.

What the codes of a codebook fire on takes from a tenth of a second to half a minute to find out. A page never waits for it:

1. Who draws a chip asks for its name; the codebook is put on a pile, and a thread of the process works it off.
2. A page waits a moment for a codebook that is quickly done. Chips of the others have no name for now.
3. When the page stands, the browser asks for the names that were missing until it has them, and writes them into the
   chips. The page is not drawn again for it: that would come between a person and what they are about to click.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from queue import LifoQueue

import streamlit as st

from app.components.chip_names import chip_names
from app.draw.html import Spoken
from app.shell import resources
from app.shell.trace import trace
from backend.errors import CodescopeError
from backend.explorer import Explorer
from backend.types import CodeRef

PATIENCE = 0.25  # seconds that one run of a page waits for names, all codebooks together
LONGEST = 40  # characters of a name
_log = logging.getLogger(__name__)


class _Finder:
    """Finds the names of codebooks in a thread of its own, the last asked first; shared by all sessions of the process."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Future[dict[int, str]]] = {}
        # what was asked for last is what somebody looks at now
        self._queue: LifoQueue[tuple[Future[dict[int, str]], Explorer, str, str]] = LifoQueue()
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
        self._found: dict[tuple[str, str], Mapping[int, str] | None] = {}

    def _of_people(self, model: str) -> Mapping[CodeRef, str]:
        if model not in self._labels:
            self._labels[model] = self._explorer.people.newest_labels(model)
        return self._labels[model]

    def of_site(self, model: str, site: str) -> Mapping[int, str]:
        """Return code -> description of a codebook; empty as long as it is not known."""
        found = self._described(model, site)
        if found is None:
            trace().unnamed_codebooks.add((model, site))
        return found or {}

    def _described(self, model: str, site: str) -> Mapping[int, str] | None:
        """The same; None as long as it is not known."""
        if (model, site) not in self._found:
            try:
                future = _finder().ask(resources.shared_explorer(), model, site)
                self._found[model, site] = future.result(timeout=max(0.0, self._until - time.monotonic()))
            except TimeoutError:
                self._found[model, site] = None
            except CodescopeError:  # a list may hold codes of models that are gone
                self._found[model, site] = {}
        return self._found[model, site]

    def __getitem__(self, ref: CodeRef) -> str:
        if label := self._of_people(ref.model).get(ref):
            return label
        found = self._described(ref.model, ref.site)
        if found is None:
            trace().unnamed.add(ref)
        elif ref.code in found:
            return Spoken(found[ref.code])
        raise KeyError(ref)

    def __iter__(self) -> Iterator[CodeRef]:
        return iter(self._of_people(self._model))

    def __len__(self) -> int:
        return len(self._of_people(self._model))

    def __bool__(self) -> bool:
        return True  # it has names to give, even where no person has given any


def deliver() -> None:
    """At the end of a page: write names into the chips that were drawn without, as soon as they are known."""
    refs, codebooks = trace().unnamed, trace().unnamed_codebooks
    if refs or codebooks:
        _deliver(sorted(refs), sorted(codebooks))


@st.fragment
def _deliver(refs: Sequence[CodeRef], codebooks: Sequence[tuple[str, str]]) -> None:
    explorer, finder = resources.shared_explorer(), _finder()
    wanted = dict.fromkeys([*((ref.model, ref.site) for ref in refs), *codebooks])
    futures = {(model, site): finder.ask(explorer, model, site) for model, site in wanted}
    known = {codebook: future.result() for codebook, future in futures.items() if future.done()}
    found = {ref: known.get((ref.model, ref.site), {}).get(ref.code, "") for ref in refs}
    chip_names(
        {ref: name for ref, name in found.items() if name},
        {codebook: known[codebook] for codebook in codebooks if codebook in known},
        waiting=len(known) < len(futures),
    )
