"""A child process that draws UMAPs, so that their import and compilation hide behind other work.

    1. the parent starts the child at the beginning of a build; it imports umap-learn and fits a handful of points
    2. each codebook's live vectors go through its standard input, one after another, and a map comes back
    3. the child ends when its input closes, whatever it is doing: with the build, and when the build is killed

The two speak in lines of JSON, each followed by the float32 values of an array whose shape stands in the line.
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from backend.errors import BuildError

ROOT = Path(__file__).resolve().parents[2]
NICENESS = 10
SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class MapProcess:
    """The child, seen from the parent. Leave the `with` and it is gone.

    Attributes:
        pid: its process id.
    """

    def __init__(self) -> None:
        """Start the child; it warms itself up."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "backend.build.map_process"],
            cwd=ROOT,
            env=os.environ | dict.fromkeys(SINGLE, "1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the parent's business
        )
        self.pid = self._child.pid
        # One request at a time is under way, so that the tables of all codebooks are never in memory twice.
        self._line = ThreadPoolExecutor(1, "map-process")

    def draw(self, vectors: Callable[[], np.ndarray], *, cosine: bool) -> Future[np.ndarray]:
        """Ask for the UMAP of some points, float32 `[n, 2]`; the future fails with a `BuildError` if the child does.

        Args:
            vectors: gives float32 `[n, dim]`, n at least 4; called in a thread, when it is this map's turn.
            cosine: see `backend.analysis.projection.umap`.
        """
        return self._line.submit(self._ask, vectors, cosine)

    def _ask(self, vectors: Callable[[], np.ndarray], cosine: bool) -> np.ndarray:
        assert self._child.stdin is not None and self._child.stdout is not None
        points = vectors()
        try:
            _send(self._child.stdin, {"cosine": cosine}, points)
            answer, coordinates = _receive(self._child.stdout)
        except (OSError, ValueError, EOFError) as error:
            raise BuildError(f"The process that draws maps ended: {error or type(error).__name__}.") from error
        if coordinates.shape != (len(points), 2) or not np.isfinite(coordinates).all():
            raise BuildError(f"The map of {len(points)} codes failed: {answer.get('error') or 'it is not finite'}.")
        return coordinates

    def close(self) -> None:
        """End the child at once."""
        self._child.kill()
        self._line.shutdown(wait=True, cancel_futures=True)
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass  # a request was half written when the child ended

    def __enter__(self) -> MapProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _send(pipe: BinaryIO | Any, header: dict[str, Any], array: np.ndarray) -> None:
    array = np.ascontiguousarray(array, np.float32)
    pipe.write(json.dumps(header | {"shape": array.shape}).encode() + b"\n")
    pipe.write(array.tobytes())
    pipe.flush()


def _receive(pipe: BinaryIO | Any) -> tuple[dict[str, Any], np.ndarray]:
    line = pipe.readline()
    header = json.loads(line) if line else {"shape": (0,)}
    data = pipe.read(4 * math.prod(header["shape"]))
    if not line or len(data) < 4 * math.prod(header["shape"]):
        raise EOFError("it said nothing more")
    return header, np.frombuffer(data, np.float32).reshape(header["shape"])


def main() -> None:
    """Be the child."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    requests: queue.SimpleQueue[tuple[dict[str, Any], np.ndarray]] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                requests.put(_receive(sys.stdin.buffer))
        finally:
            os._exit(0)  # the parent is gone or wants no more; nothing here is worth finishing

    threading.Thread(target=listen, daemon=True).start()
    from backend.analysis.projection import umap

    umap(np.random.default_rng(0).normal(size=(16, 4)))
    while True:
        header, points = requests.get()
        try:
            _send(answers, {}, umap(points, cosine=header["cosine"]))
        except Exception as error:
            _send(answers, {"error": f"{type(error).__name__}: {error}"}, np.zeros((0, 2), np.float32))


if __name__ == "__main__":
    main()
