"""A small real store, and a way to run a page of the app on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.shell.environment import DATA_DIR_VARIABLE
from tests.backend import tiny_store

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = tiny_store.MODEL


class Page:
    """One run of a page."""

    def __init__(self, test: AppTest) -> None:
        """Keep the test."""
        self.test = test

    @property
    def html(self) -> str:
        """All HTML of the page, as the server sent it."""
        return "\n".join(element.proto.body for element in self.test.get("html"))

    def check(self) -> Page:
        """No exception reached Streamlit."""
        assert not self.test.exception, [e.value for e in self.test.exception]
        return self


def make_store(data_dir: Path) -> None:
    """One build of a model that says it can be steered."""
    truth = tiny_store.make(data_dir, items=120)
    with duckdb.connect(str(truth.path)) as db:
        db.execute('UPDATE facts SET value = \'["encode", "logits", "steer"]\' WHERE key = \'capabilities\'')


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with one build in it, which the app uses."""
    make_store(tmp_path)
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(tmp_path))
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path


@pytest.fixture
def open_page(data_dir: Path) -> Callable[..., Page]:
    """Runs a page with parameters in its address: `open_page("code", site="L0.mlp", code=11)`."""

    def run(name: str, **parameters: object) -> Page:
        test = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60)
        test.switch_page(str(ROOT / "pages" / f"{name}.py"))
        for key, value in parameters.items():
            test.query_params[key] = [str(v) for v in value] if isinstance(value, list) else str(value)
        return Page(test.run()).check()

    return run
