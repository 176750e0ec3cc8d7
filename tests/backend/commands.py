"""Running commands in tests: their exit status, their JSON, their one paragraph of complaint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import backend.__main__ as cli
from backend.catalog import ROOT

MACHINE = ("--states", "9", "--edges", "3", "--length", "24", "--dim", "16", "--heads", "2", "--mlp", "32")
SHORT = (
    *MACHINE,
    "--codes",
    "30",
    "--steps",
    "60",
    "--base-steps",
    "60",
    "--batch",
    "8",
    "--device",
    "cpu",
    "--evaluate",
    "0",
)


def run(*arguments: str, data: Path) -> int:
    """The exit status of a command, in this process."""
    try:
        return cli.main([*arguments, "--data-dir", str(data)])
    except SystemExit as stop:
        return int(stop.code or 0)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, data: Path) -> Any:
    """The JSON of a command that must succeed."""
    capsys.readouterr()
    status = run(*arguments, "--json", data=data)
    said = capsys.readouterr()
    assert status == 0, said.err
    return json.loads(said.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(capsys: pytest.CaptureFixture[str], status: int, *arguments: str, data: Path) -> str:
    """The one paragraph on stderr of a command that must fail with that status."""
    capsys.readouterr()
    assert run(*arguments, data=data) == status
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    return said.err


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100, **options
    )
