"""Progress of a run that has several stages: how much of the whole is done, and how long the rest will take.

Each stage has its own count, and before the run begins somebody has said how much work it is, in any unit. What is left is
estimated from both:

1. of the stage that is at work, from its own pace, as soon as it has one;
2. of stages to come, from their work and from how long the work took that is done.

So an estimate is rough at first and becomes better; the share of the whole never goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from backend.types import Progress

# a stage's own pace is believed when so much of it is done, or some of it after so many seconds: the first moments mislead
SETTLED_SHARE, SETTLED_SECONDS = 0.05, 5.0


class Staged(Protocol):
    """What a run of several stages reports to: a run, or a part of one that makes several models."""

    def stage(self, name: str) -> Progress:
        """Return what a stage reports to; a report of it ends all stages before it."""
        ...


@runtime_checkable
class Watcher(Protocol):
    """A progress that also shows the whole of a run."""

    def whole(self, number: int, count: int, share: float, left: float | None) -> None:
        """Take in that stage `number` of `count` is at work, the share of the whole, and the seconds that are left."""
        ...


class Stages:
    """The stages of one run, in their order."""

    def __init__(
        self, progress: Progress | None, work: Mapping[str, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Plan the run.

        Args:
            progress: told about every stage; of the whole too, where it is a `Watcher`.
            work: stage -> about how much work it is.
            clock: seconds.
        """
        self._progress, self._clock = progress, clock
        self._names = list(work)
        self._work = list(work.values())
        self._total = sum(self._work) or 1.0
        self._number = -1  # of the stage at work
        self._first = self._share = 0.0  # of its work: where it began (a run goes on) and now
        self._began = 0.0
        self._seconds = self._measured = 0.0  # of finished stages, and how much work those seconds took

    def stage(self, name: str) -> Progress:
        """Return what a stage reports to; a report of it ends all stages before it.

        Its count may begin again for parts of the stage: the share of the whole waits until it is passed.
        """
        number = self._names.index(name)

        def report(what: str, done: int, total: int) -> None:
            self._note(number, done / total if total > 0 else None)
            if isinstance(self._progress, Watcher):
                self._progress.whole(number + 1, len(self._names), self.share, self.left)
            if self._progress is not None:
                self._progress(what, done, total)

        return report

    def part(self, name: str) -> Staged:
        """Return the stages whose names begin with `NAME: `, for a run that does not know of the others."""
        return _Part(self, name)

    @property
    def share(self) -> float:
        """Of the whole, 0 to 1."""
        if self._number < 0:
            return 0.0
        return min(1.0, (sum(self._work[: self._number]) + self._share * self._work[self._number]) / self._total)

    @property
    def left(self) -> float | None:
        """Seconds until the end of the run; None: nothing is known of its pace yet."""
        if self._number < 0:
            return None
        spent, done = self._clock() - self._began, self._share - self._first
        work = self._work[self._number]
        seconds, measured = self._seconds + spent, self._measured + done * work
        if done >= SETTLED_SHARE or (done > 0 and spent >= SETTLED_SECONDS):
            here: float | None = spent / done * (1 - self._share)
        else:  # its pace is not known yet: the time it has taken says nothing of its work
            seconds, measured = self._seconds, self._measured
            here = None
        later = sum(self._work[self._number + 1 :])
        if here is not None and not later:
            return here
        if measured <= 0 or seconds <= 0:
            return None
        pace = seconds / measured
        return (here if here is not None else max(0.0, pace * work * (1 - self._first) - spent)) + pace * later

    def _note(self, number: int, share: float | None) -> None:
        if number > self._number:
            now = self._clock()
            if self._number >= 0:
                self._seconds += now - self._began
                self._measured += (1 - self._first) * self._work[self._number]
            self._number, self._began = number, now
            self._first = self._share = share or 0.0
        elif number == self._number and share is not None:
            self._share = min(1.0, max(self._share, share))


class _Part:
    def __init__(self, stages: Stages, name: str) -> None:
        self._stages, self._name = stages, name

    def stage(self, name: str) -> Progress:
        progress = self._stages.stage(f"{self._name}: {name}")
        return lambda what, done, total: progress(f"{self._name}: {what}", done, total)


def parts(work: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the stages of all parts in one line, as `Stages.part` names them: part -> stage -> work."""
    return {f"{part}: {stage}": amount for part, stages in work.items() for stage, amount in stages.items()}
