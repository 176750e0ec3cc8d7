"""Makes shards in this process: forward passes here, beside them the next batch's items and the writing of files.

1. A thread makes the items of the next batch while this one encodes; the order of batches stays as it is.
2. Another writes a finished shard's files while the next shard is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from backend.build.engines import Job
from backend.build.shards import Shard, ShardBuilder
from backend.families import open_family
from backend.types import Family, Item


def make_shards(
    job: Job,
    todo: Sequence[tuple[int, int]],
    finished: Callable[[Shard], None],
    encoded: Callable[[int], None],
    family: Family | None = None,
) -> None:
    """Make every shard of `todo`; see `backend.build.engines`. At most two shards are in memory at once."""
    model: Family = open_family(job.spec, job.data_dir) if family is None else family
    codebooks = model.codebooks()
    has_neurons = "neurons" in model.capabilities
    with ThreadPoolExecutor(1, "shard-writer") as writer, ThreadPoolExecutor(1, "item-maker") as maker:
        batches = (batch for start, stop in todo for batch in job.batches(start, stop))

        def make_next() -> Future[Sequence[Item]] | None:
            batch = next(batches, None)
            return None if batch is None else maker.submit(model.items, *batch, job.seed)

        coming = make_next()
        pending: Future[Shard] | None = None
        for start, stop in todo:
            builder = ShardBuilder(start, stop, codebooks, job.neuron_items)
            for first, last in job.batches(start, stop):
                assert coming is not None
                items, coming = coming.result(), make_next()
                neurons = has_neurons and first < job.neuron_items
                builder.add(items, model.encode(items, neurons=neurons))
                encoded(last - first)
                if pending is not None and pending.done():
                    finished(pending.result())
                    pending = None
            if pending is not None:
                finished(pending.result())
            pending = writer.submit(builder.write, job.folder)
        if pending is not None:
            finished(pending.result())
