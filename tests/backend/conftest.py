from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.commands import SHORT, run


@pytest.fixture(scope="session")
def commands_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a model trained and built by the commands themselves."""
    folder = tmp_path_factory.mktemp("data")
    assert run("train", "tokfsm", "--places", "attn+mlp", *SHORT, "--name", "tiny", data=folder) == 0
    assert run("build", "tiny", "--items", "60", "--projection", "pca", data=folder) == 0
    return folder
