"""Where precompute runs. `ENGINES` maps an engine's name to its module; a module is imported when it is asked for.

An engine is a module with one function

    make_shards(job: Job, todo: Sequence[tuple[int, int]], finished: Callable[[Shard], None],
                encoded: Callable[[int], None], family: Family | None = None) -> None

that makes every shard of `todo` (items start to stop), in any order and at any place, by `ShardBuilder` with batches
cut as `Job.batches` cuts them, writes its files to `job.folder`, and then calls `finished` with it in the calling
thread. `encoded` is told the number of items whenever some have been encoded. `family` is the model where the caller has
loaded it; elsewhere an engine loads it by `backend.families.open_family(job.spec, job.data_dir)`. It changes where shards
are made and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from backend.errors import UsageError
from backend.types import ModelSpec

ENGINES = {"local": "backend.build.engines.local"}


@dataclass(frozen=True)
class Job:
    """All that an engine needs to make shards, in a form that can be sent to another process: nothing loaded is in it.

    Attributes:
        spec: the model.
        data_dir: where its checkpoint is.
        folder: where the shards' files go.
        seed: seed of the items.
        batch_items: items of one forward pass. Part of the build's identity, because a batch's make-up can change the
            last bit of a score.
        neuron_items: items with a smaller number have their neurons kept.
    """

    spec: ModelSpec
    data_dir: Path
    folder: Path
    seed: int
    batch_items: int
    neuron_items: int

    def batches(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut a shard's items into forward passes: always the same way, so that making it again gives the same."""
        for first in range(start, stop, self.batch_items):
            yield first, min(first + self.batch_items, stop)


def open_engine(name: str) -> ModuleType:
    """Return the engine of that name.

    Raises:
        UsageError: there is none, or what it needs is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"There is no engine {name[:40]!r}. Known: {', '.join(ENGINES)}.")
    return import_module(ENGINES[name])
