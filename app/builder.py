"""Builds demo models in the background, one after another, and says in a small file how far it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.build.lock import WAITING
from backend.explorer import Explorer
from backend.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?) ?%")
LINE = 600  # characters that are kept of the last word
LISTEN_SECONDS = 0.5  # whether a failed build is to be tried again is looked at so often
_COUNT = re.compile(r"(\d[\d,]*) ?(?:/|of) ?(\d[\d,]*)")


@dataclass(frozen=True)
class Build:
    """One build that is still to be done.

    Attributes:
        model: its model.
        command: how it is done.
        before_opening: there is nothing to look at before it is done.
    """

    model: str
    command: tuple[str, ...]
    before_opening: bool


def missing_demos(data_dir: Path) -> list[Build]:
    """The demo models that have weights and no build, in their order; the first one is awaited if nothing is built."""
    models = Explorer(data_dir).models()
    demos = models[(models["demo"] > 0) & models["checkpoint"]].sort_values(["demo", "model"], kind="stable")
    missing = demos.loc[demos["built"] == "", "model"]
    nothing_yet = bool((models["built"] == "").all())
    return [
        Build(
            model=str(name),
            command=(sys.executable, "-m", "backend", "build", str(name), "--data-dir", str(data_dir), "--progress"),
            before_opening=nothing_yet and number == 0,
        )
        for number, name in enumerate(missing)
    ]


def share_of(line: str) -> float | None:
    """How far a line of progress says the work is, 0 to 1; None where it says nothing of that."""
    found = _SHARE.search(line)
    if found:
        return min(1.0, float(found[1]) / 100)
    found = _COUNT.search(line)
    if found:
        done, total = (int(group.replace(",", "")) for group in found.groups())
        return min(1.0, done / total) if total else None
    return None


def again_file(progress: Path, number: int) -> Path:
    """The file whose presence asks for the entry of that number, which failed, to be tried again."""
    return progress.with_name(f"{progress.stem}.again-{number}")


class Builder:
    """Does the builds in a thread of its own; `stop` ends the one under way, which goes on from there next time.

    The entries of the progress file are `waiting` (for their turn), `waiting for another build` (of a person, in the
    same data directory), `building`, `done` or `failed`; the `line` of a failed one is the reason.
    """

    def __init__(self, builds: Sequence[Build], progress: Path) -> None:
        """Plan `builds` in their order; `progress` is the file to write."""
        self._builds = builds
        self._progress = progress
        self._entries: list[dict[str, Any]] = [
            {"model": b.model, "state": "waiting", "share": None, "line": ""} for b in builds
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._say()

    def start(self) -> None:
        """Begin."""
        if self._builds:
            self._thread.start()

    def stop(self) -> None:
        """End the build under way and begin no other."""
        with self._lock:
            self._stopped.set()
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
        if self._thread.is_alive():
            self._thread.join(5)
            with self._lock:
                if self._process is not None and self._process.poll() is None:
                    self._process.kill()

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._take_wishes()
            number = next((i for i, entry in enumerate(self._entries) if entry["state"] == "waiting"), None)
            if number is None:
                self._stopped.wait(LISTEN_SECONDS)
            else:
                self._do(self._builds[number], self._entries[number])

    def _take_wishes(self) -> None:
        """Let failed builds wait for another turn where a person has asked for it."""
        for number, entry in enumerate(self._entries):
            wish = again_file(self._progress, number)
            if wish.exists():
                if entry["state"] == "failed":
                    entry.update(state="waiting", share=None, line="")
                    self._say()
                wish.unlink(missing_ok=True)

    def _do(self, build: Build, entry: dict[str, Any]) -> None:
        with self._lock:
            if self._stopped.is_set():
                return
            self._process = subprocess.Popen(
                ["nice", "-n", "10", *build.command]
                if os.name == "posix" and Path("/usr/bin/nice").exists()
                else list(build.command),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        entry["state"] = "building"
        self._say()
        self._listen(self._process, entry)
        status = self._process.wait()
        entry["state"] = "done" if status == 0 else "failed"
        entry["share"] = 1.0 if status == 0 else entry["share"]
        self._say()

    def _listen(self, process: subprocess.Popen[bytes], entry: dict[str, Any]) -> None:
        """Note the builder's last line, whether it ends with a line feed or, as progress bars do, a carriage return."""
        assert process.stderr is not None
        rest = b""
        while chunk := process.stderr.read1(4096):  # type: ignore[attr-defined]
            *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
            spoken = [line.decode("utf-8", "replace").strip() for line in lines if line.strip()]
            if spoken:
                entry["line"] = spoken[-1][:LINE]
                entry["state"] = WAITING if spoken[-1].startswith(WAITING) else "building"
                found = share_of(spoken[-1])
                entry["share"] = entry["share"] if found is None else found
                self._say()
        if rest.strip():
            entry["line"] = rest.decode("utf-8", "replace").strip()[:LINE]

    def _say(self) -> None:
        """Replace the file at once, so that a reader never sees half of it."""
        try:
            write_atomically(self._progress, json.dumps(self._entries))
        except OSError:
            pass  # the folder goes away when the app ends; the progress is a courtesy
