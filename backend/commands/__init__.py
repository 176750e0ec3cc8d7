"""The commands of `python -m backend`, one file per kind of question. `COMMANDS` is all there are."""

from backend.cli import Command
from backend.commands import asking, comparing, documenting, encoding, finding, importing, looking, making, training

COMMANDS: tuple[Command, ...] = (
    looking.MODELS,
    training.TRAIN,
    making.BUILD,
    making.EVALUATE,
    making.REPRODUCE,
    importing.IMPORT,
    encoding.ENCODE,
    asking.SEARCH,
    asking.STEER,
    finding.FIND,
    comparing.COMPARE,
    making.BENCH,
    looking.DOCTOR,
    documenting.docs_command(lambda: COMMANDS),
)
