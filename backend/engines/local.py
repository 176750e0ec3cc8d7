"""Makes shards in this process: forward passes in this thread, files written by a second one meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from backend.engines import Job
from backend.store.shards import Shard, ShardBuilder


def make_shards(
    job: Job, todo: Sequence[tuple[int, int]], finished: Callable[[Shard], None], encoded: Callable[[int], None]
) -> None:
    """Make every shard of `todo`; see `backend.engines`. At most two shards are in memory at once."""
    codebooks = job.family.codebooks()
    has_neurons = "neurons" in job.family.capabilities
    with ThreadPoolExecutor(1, "shard-writer") as writer:
        pending: Future[Shard] | None = None
        for start, stop in todo:
            builder = ShardBuilder(start, stop, codebooks, job.neuron_items)
            for first, last in job.batches(start, stop):
                items = job.family.items(first, last, job.seed)
                neurons = has_neurons and first < job.neuron_items
                builder.add(items, job.family.encode(items, neurons=neurons))
                encoded(last - first)
                if pending is not None and pending.done():
                    finished(pending.result())
                    pending = None
            if pending is not None:
                finished(pending.result())
            pending = writer.submit(builder.write, job.folder)
        if pending is not None:
            finished(pending.result())
