"""Builds models one after another, each in a process of its own, and says in a small file how far it is.

There is one builder an app: in the process of `python -m app`, or, under plain `streamlit run`, in the server. Pages leave
word for it by files in `builds/.asked/` of the data directory, so it does not matter where it is, and what was asked for
outlives a stop of the app:

    MODEL.build   somebody wants the model built; the file goes when that is done, has failed, or was stopped
    MODEL.stop    somebody wants that build stopped; what it has done is kept, and the next one goes on from there

What it does it writes to the progress file: a list of entries in the order in which they are built, see `Entry`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import quote, unquote

from backend import catalog
from backend.build.lock import WAITING
from backend.errors import BuildError, CodescopeError, UsageError
from backend.explorer import Explorer
from backend.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
LINE = 600  # characters that are kept of the last word
LISTEN_SECONDS = 0.3  # what pages have left is looked at so often
FIRST_CARDS = 5  # demo models that are built on first start: under two minutes on two cores
Wish = Literal[".build", ".stop"]
BUILD: Wish = ".build"
STOP: Wish = ".stop"
_NICE = Path("/usr/bin/nice")


class Entry(TypedDict):
    """One build.

    Attributes:
        model: its model.
        state: `waiting` for its turn or, at its turn, `waiting for another build` (of another process in the same data
            directory), `building`, `done`, `failed` or `stopped`.
        share: how far it is, 0 to 1; None before anything is known.
        left: an estimate of the seconds that are left, or None.
        line: its last word; of a failed one the reason.
    """

    model: str
    state: str
    share: float | None
    left: float | None
    line: str


def new_entry(model: str) -> Entry:
    """Return an entry that waits for its turn."""
    return {"model": model, "state": "waiting", "share": None, "left": None, "line": ""}


# ---- what is to be built


def planned(data_dir: Path, demo: Sequence[str] | None) -> list[str]:
    """Return the models to build when the app starts, in order; those that are built already are left out.

    Args:
        data_dir: where checkpoints and builds are.
        demo: names; `["none"]` for none; None for the first of the catalog's demo models.

    Raises:
        UsageError: there is no model of a name (the message lists those there are), or nothing of it to build.
        CheckpointError: its weights are missing.
    """
    explorer = Explorer(data_dir)
    specs = catalog.models(data_dir)
    if demo is None:
        demos = sorted((spec.demo, name) for name, spec in specs.items() if spec.demo > 0)
        names = [name for _, name in demos if _has_weights(name, data_dir)][:FIRST_CARDS]
    elif "none" in demo:
        if len(demo) > 1:
            raise UsageError(f"--demo names {' and '.join(demo)}: give either names of models or none.")
        names = []
    else:
        bases = {spec.base for spec in specs.values()}
        for name in demo:
            spec = catalog.find(name, data_dir)
            if name in bases:
                raise UsageError(f"{name} is a plain model without codebooks: there is nothing of it to build.")
            catalog.checkpoint_folder(spec, data_dir)
        names = list(dict.fromkeys(demo))
    return [name for name in names if not is_built(explorer, name)]


def _has_weights(name: str, data_dir: Path) -> bool:
    try:
        catalog.checkpoint_folder(catalog.find(name, data_dir), data_dir)
    except CodescopeError:
        return False
    return True


def is_built(explorer: Explorer, model: str) -> bool:
    """Return whether a model has a build that can be read."""
    try:
        return bool(explorer.build(model))
    except CodescopeError:
        return False


def command(model: str, data_dir: Path) -> list[str]:
    """Return the command that builds a model and reports in lines of JSON."""
    build = [sys.executable, "-m", "backend", "build", model, "--data-dir", str(data_dir), "--progress-json"]
    return ["nice", "-n", "10", *build] if _NICE.exists() else build  # pages come first on a machine of two cores


# ---- what pages leave for the builder


def asked_file(data_dir: Path, model: str, kind: Wish = BUILD) -> Path:
    """Return the file whose presence asks for a build of the model, or for its end; any string makes a safe name."""
    return data_dir / "builds" / ".asked" / f"{quote(model, safe='')}{kind}"


def ask(data_dir: Path, model: str, kind: Wish = BUILD) -> None:
    """Ask for a build of a model, or for another try of one that failed or was stopped; or, by `STOP`, for its end.

    Raises:
        BuildError: nothing can be written to the data directory.
    """
    file = asked_file(data_dir, model, kind)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as error:
        raise BuildError(
            f"{model} cannot be built here: nothing can be written to {file.parent} ({error.strerror}). "
            "Start the app with a data directory of your own: --data-dir DIR."
        ) from error


def asked(data_dir: Path, kind: Wish = BUILD) -> list[str]:
    """Return the models whose build, or whose end, was asked for; the oldest wish first."""
    wishes = []
    for file in (data_dir / "builds" / ".asked").glob(f"*{kind}"):
        try:
            wishes.append((file.stat().st_mtime_ns, unquote(file.name.removesuffix(kind))))
        except FileNotFoundError:  # it was fulfilled between the two
            continue
    return [model for _, model in sorted(wishes)]


def read_progress(file: Path) -> list[Entry]:
    """Return the entries of a progress file; none where it is not there or cannot be understood."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    rows = rows if isinstance(rows, list) else []
    return [{**new_entry(str(row["model"])), **row} for row in rows if isinstance(row, dict) and "model" in row]


# ---- the builder


class Builder:
    """Does the builds in a thread of its own; `stop` ends the one under way, which goes on from there next time."""

    def __init__(
        self,
        data_dir: Path,
        progress: Path,
        models: Sequence[str] = (),
        command: Callable[[str, Path], Sequence[str]] = command,
    ) -> None:
        """Plan builds.

        Args:
            data_dir: where checkpoints and builds are, and what pages leave.
            progress: the file to write.
            models: built in this order, behind what people ask for.
            command: what builds a model.
        """
        self._data_dir = data_dir
        self._progress = progress
        self._command = command
        self._explorer = Explorer(data_dir)
        self._entries = [new_entry(model) for model in models]
        self._of_people: set[str] = set()  # models that were asked for on a page: they come before the planned ones
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._lock = threading.RLock()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._work, self._watch)]
        for model in asked(data_dir, STOP):  # of an earlier builder, which has ended by itself
            asked_file(data_dir, model, STOP).unlink(missing_ok=True)
        self._say()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the build under way and begin no other; what was asked for is taken up by the next builder."""
        with self._lock:
            self._stopped.set()
            self._end_process()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5)
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def _end_process(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _work(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                entry = next((entry for entry in self._entries if entry["state"] == "waiting"), None)
            if entry is None:
                self._stopped.wait(LISTEN_SECONDS)
            else:
                self._do(entry)

    def _watch(self) -> None:
        while not self._stopped.wait(LISTEN_SECONDS):
            with self._lock:
                for model in asked(self._data_dir):
                    self._take(model)
                for model in asked(self._data_dir, STOP):
                    self._give_up(model)

    def _take(self, model: str) -> None:
        """Let a model that was asked for wait for its turn, before all that nobody has asked for."""
        entry = next((entry for entry in self._entries if entry["model"] == model), None)
        if entry is not None and entry["state"] not in ("done", "failed", "stopped"):
            self._of_people.add(model)
            return
        if is_built(self._explorer, model):
            asked_file(self._data_dir, model).unlink(missing_ok=True)
            return
        if entry is not None:
            self._entries.remove(entry)
        first = (
            number
            for number, other in enumerate(self._entries)
            if other["state"] == "waiting" and other["model"] not in self._of_people
        )
        self._of_people.add(model)
        self._entries.insert(next(first, len(self._entries)), new_entry(model))
        self._say()

    def _give_up(self, model: str) -> None:
        """Stop a build, or do not begin it."""
        for entry in self._entries:
            if entry["model"] == model and entry["state"] not in ("done", "failed", "stopped"):
                if entry["state"] != "waiting":
                    self._end_process()
                entry.update({"state": "stopped", "left": None, "line": "Stopped; it goes on from what is done."})
        for kind in (BUILD, STOP):
            asked_file(self._data_dir, model, kind).unlink(missing_ok=True)
        self._say()

    def _do(self, entry: Entry) -> None:
        with self._lock:
            if self._stopped.is_set() or entry["state"] != "waiting":
                return
            entry["state"] = "building"
            try:
                self._process = subprocess.Popen(
                    list(self._command(entry["model"], self._data_dir)),
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is this process's business
                )
            except OSError as error:  # the builder has to outlive it
                entry.update({"state": "failed", "line": f"The build could not be started: {error}."})
                asked_file(self._data_dir, entry["model"]).unlink(missing_ok=True)
                self._say()
                return
            self._say()
        reason = self._listen(self._process, entry)
        status = self._process.wait()
        with self._lock:
            if self._stopped.is_set() or entry["state"] == "stopped":
                return  # what was asked for stays so, for the next start
            asked_file(self._data_dir, entry["model"]).unlink(missing_ok=True)
            if status == 0:
                entry.update({"state": "done", "share": 1.0, "left": None})
            else:
                entry.update({"state": "failed", "left": None, "line": reason or _ended(status)})
            self._say()

    def _listen(self, process: subprocess.Popen[bytes], entry: Entry) -> str:
        """Note what the build reports; returns the last line that is not a report: the reason, if it fails."""
        assert process.stderr is not None
        reason = ""
        for raw in process.stderr:
            line = raw.decode("utf-8", "replace").strip()
            report = _reported(line)
            if report is None:
                reason = line[:LINE] or reason
                continue
            with self._lock:
                if entry["state"] != "stopped":
                    entry.update(report)  # type: ignore[typeddict-item]
                    self._say()
        return reason

    def _say(self) -> None:
        """Replace the file at once, so that a reader never sees half of it."""
        try:
            write_atomically(self._progress, json.dumps(self._entries))
        except OSError:
            pass  # the folder goes away when the app ends; the progress is a courtesy


def _reported(line: str) -> dict[str, Any] | None:
    """Return what a report of a build changes in its entry; None where the line is not a report."""
    try:
        report = json.loads(line)
        stage, done, total, left = str(report["stage"]), int(report["done"]), int(report["total"]), report["left"]
    except (ValueError, TypeError, KeyError):
        return None
    if total <= 0:
        return {"state": WAITING if stage.startswith(WAITING) else "building", "line": stage[:LINE]}
    share = min(1.0, done / total)
    return {"state": "building", "share": share, "left": left, "line": stage.removeprefix("build, ")[:LINE]}


def _ended(status: int) -> str:
    if status < 0:
        return f"The system ended it (signal {-status}), perhaps for want of memory. Try again: it goes on from there."
    return f"It ended with status {status} and gave no reason. The command is: python -m backend build MODEL."
