"""Everything that can go wrong on purpose, in one tree.

    CodescopeError                  exit status 1, one paragraph for a person
    |-- UsageError                  exit status 2: the request itself makes no sense
    |   |-- UnknownModel            no such model in the catalog or the data directory
    |   |-- UnknownCode             no such codebook, or the code is out of its range
    |   |-- BadPattern              a regular expression that cannot be used (`position` says where)
    |   |-- BadInput                a person's own text, tokens or images that cannot be read
    |   `-- Unsupported             this model cannot do that (it lacks the capability)
    |-- CatalogError                a catalog file with a wrong or unknown key
    |-- CheckpointError             a checkpoint that is missing, truncated, unsafe or contradicts its configuration
    |-- TrainingError               a run whose loss is not a number any more
    |-- StoreError                  a store that cannot be used
    |   |-- NoBuild                 the model has not been built yet
    |   |-- StoreVersion            written by an older or newer version: build again
    |   `-- ShardError              a shard that is unreadable or does not match its hash
    |-- BuildError                  a build that stopped; what was published before stays usable
    |   |-- BuildLocked             another build is at work in this data directory
    |   |-- DiskFull                no room left: free some, run again, it goes on
    |   `-- CheckFailed             the self-check found a difference; nothing was published
    `-- OutsideDataDir              a path that leaves the data directory

Every message says what was given, what was expected and what to do next.
"""


class CodescopeError(Exception):
    """Base of all errors that Codescope raises on purpose; `str(error)` is a paragraph for a person."""

    exit_status = 1


class UsageError(CodescopeError):
    """The request makes no sense as it stands; change the request."""

    exit_status = 2


class UnknownModel(UsageError):
    """No model of that name is in the catalog or the data directory."""


class UnknownCode(UsageError):
    """The codebook does not exist, or the code id is out of its range."""


class BadPattern(UsageError):
    """A regular expression that cannot be used.

    Attributes:
        position: character index of the mistake in the pattern, or None where it is unknown.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class BadInput(UsageError):
    """Text, tokens or images of a person that cannot be used as they are."""


class Unsupported(UsageError):
    """The model lacks the capability that the request needs."""


class CatalogError(CodescopeError):
    """A catalog file has a missing, wrong or unknown key."""


class CheckpointError(CodescopeError):
    """A checkpoint is missing, truncated, unsafe to load, or contradicts its configuration."""


class TrainingError(CodescopeError):
    """A training run cannot go on: its loss is not a number any more."""


class StoreError(CodescopeError):
    """A store cannot be used."""


class NoBuild(StoreError):
    """The model has no published build in this data directory."""


class StoreVersion(StoreError):
    """The store was written by another version of the schema."""


class ShardError(StoreError):
    """A shard is unreadable or does not match the hash in its manifest."""


class BuildError(CodescopeError):
    """A build stopped; the build published before stays in use."""


class BuildLocked(BuildError):
    """Another build is at work in this data directory, or another training of that name."""


class DiskFull(BuildError):
    """No room left on the disk; finished shards are kept and the next run goes on from them."""


class CheckFailed(BuildError):
    """The self-check found that the store does not say what the model says; nothing was published."""


class OutsideDataDir(CodescopeError):
    """A path leads out of the data directory."""
