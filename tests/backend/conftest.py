from __future__ import annotations

from pathlib import Path

import pytest

from tests.backend.commands import SHORT, run
from tests.backend.toy_builds import answers, build_toy
from tests.backend.toy_family import prepare


@pytest.fixture(scope="session")
def commands_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a model trained and built by the commands themselves."""
    folder = tmp_path_factory.mktemp("data")
    assert run("train", "tokfsm", "--places", "attn+mlp", *SHORT, "--name", "tiny", data=folder) == 0
    assert run("build", "tiny", "--items", "60", "--projection", "pca", data=folder) == 0
    return folder


@pytest.fixture
def toy_dir(tmp_path: Path) -> Path:
    """A data directory with the toy, unbuilt."""
    return prepare(tmp_path)


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple]]:
    """The answers of a build of the toy that nobody disturbed."""
    return answers(build_toy(prepare(tmp_path_factory.mktemp("unbroken"))).store)
