"""`python -m backend COMMAND`: see `backend.commands`. Exit status 0 done, 1 failed, 2 wrong usage.

With `--json` stdout holds one JSON document and nothing else. Errors are one paragraph on stderr; `CODESCOPE_DEBUG=1`
adds the traceback, and the warnings of libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from backend.cli import Bar, Command, Lines, clean, everywhere, parser_arguments, plain
from backend.commands import COMMANDS
from backend.errors import CodescopeError, UsageError
from backend.files import is_disk_full, is_out_of_memory

DEBUG_VARIABLE = "CODESCOPE_DEBUG"
_FIRST_STEPS = """\
first steps:
  python -m backend models                                   which models there are
  python -m backend build tokfsm-small                       where its codes fire, precomputed
  python -m backend search tokfsm-small '0(7)'               which codes fire on the 7 of 07
  python -m backend steer tokfsm-small --prompt '17 03' --edit L1.mlp:41

`python -m backend COMMAND --help` explains a command. Exit status: 0 done, 1 failed, 2 wrong usage."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Wrong usage leaves by `SystemExit(2)`, `--help` by `SystemExit(0)`."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models are files here; nothing is looked for elsewhere
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its advice is for who trained the model
    options = command_parser().parse_args(arguments)
    options.data_dir = Path(options.data_dir).expanduser().resolve()
    command: Command = options.command
    bar = Lines() if options.progress_json else Bar(options.progress or sys.stderr.isatty())
    try:
        if options.data_dir.exists() and not options.data_dir.is_dir():
            raise UsageError(f"--data-dir {options.data_dir} is a file. Give a folder; it is made if it is not there.")
        answer = command.run(options, bar)
        bar.close()
        print(
            json.dumps(plain(answer.data), indent=1, allow_nan=False, ensure_ascii=False)
            if options.json
            else answer.text
        )
        sys.stdout.flush()
        return answer.status
    except BrokenPipeError:  # whoever read the answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        what = "What was finished stays: build and reproduce go on when they are run again, train with --resume."
        return _failed(bar, f"Stopped. {what}", 1)
    except CodescopeError as error:
        return _failed(bar, str(error), error.exit_status)
    except Exception as error:
        if is_disk_full(error):
            return _failed(
                bar,
                f"There is no room left on the disk for what {command.name} writes. Free some and run it again to go on "
                "(train: with --resume).",
                1,
            )
        if is_out_of_memory(error):
            return _failed(
                bar,
                f"There is not enough memory for what {command.name} was asked. Ask for fewer codes, smaller pictures, or "
                "a smaller batch or model.",
                1,
            )
        reason = clean(f"{type(error).__name__}: {error}")
        return _failed(bar, f"{command.name} failed unexpectedly. {reason}. Set {DEBUG_VARIABLE}=1 to see where.", 1)


def _failed(bar: Bar | Lines, message: str, status: int) -> int:
    bar.close()
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    print(" ".join(message.split()), file=sys.stderr)
    return status


def command_parser() -> argparse.ArgumentParser:
    """Make the parser of `python -m backend` with every command."""
    parser = argparse.ArgumentParser(
        prog="python -m backend",
        description="Train, import, build, measure, search and steer models with discrete codes.",
        epilog=_FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[everywhere(True)],
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.summary, **parser_arguments(command))
        command.options(sub)
        sub.set_defaults(command=command)
    return parser


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    if not sys.warnoptions and not os.environ.get(DEBUG_VARIABLE):
        warnings.simplefilter("ignore")  # libraries say these to programmers, not to who runs a command
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
