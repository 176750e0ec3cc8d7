"""Doors that `--help` opens lead to light rooms: what a command reads of a family before it works imports nothing heavy."""

from __future__ import annotations

import pytest

from tests.backend.commands import process

HEAVY = "{'torch', 'transformers', 'accelerate', 'duckdb', 'pandas', 'PIL', 'tokenizers'}"


@pytest.mark.parametrize("door", ["train", "bring", "tables"])
def test_what_help_shows_of_a_family_is_known_without_anything_heavy(door: str) -> None:
    script = (
        "import sys\n"
        "from backend.families import doors\n"
        f"found = dict(doors({door!r}))\n"
        "assert {'transformer', 'image_tokenizer'} <= found.keys(), found\n"
        "assert all(len(behind) > 0 for behind in found.values())\n"
        f"heavy = {HEAVY} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = process("-c", script)
    assert done.returncode == 0, done.stderr
