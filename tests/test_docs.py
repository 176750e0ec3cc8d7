"""The docs are held to account: figures are those of the records, commands parse, links resolve, snippets run."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.help import docs as help_pages
from backend.__main__ import command_parser
from backend.catalog import DEFAULT_DATA_DIR
from backend.commands import COMMANDS
from backend.commands.documenting import help_texts
from backend.errors import BadInput
from backend.explorer import Explorer
from backend.jobs import docs

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted(docs.DOCS.glob("*.md"))]
MODEL = "tokfsm-small"


def fenced(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `data_cache` in which the smallest shipped model is built."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "data_cache" / "checkpoints").mkdir(parents=True)
    for name in (MODEL, f"{MODEL}-base"):
        shutil.copytree(DEFAULT_DATA_DIR / "checkpoints" / name, folder / "data_cache" / "checkpoints" / name)
    build = [sys.executable, "-m", "backend", "build", MODEL, "--items", "300", "--projection", "pca"]
    subprocess.run([*build, "--data-dir", str(folder / "data_cache")], cwd=ROOT, check=True, capture_output=True)
    return folder


def test_every_figure_of_the_docs_is_the_one_that_was_recorded():
    made = docs.pages(docs.Sources(help_texts(COMMANDS)))
    tables = [page.path.name for page in made if "<!-- figures" in page.text]
    assert len(tables) >= 4
    assert [page.change for page in made if page.path.name in tables and page.change] == []


def test_a_figure_that_was_changed_by_hand_is_noticed(tmp_path: Path):
    page = tmp_path / "results.md"
    shutil.copy(docs.DOCS / "results-machines.md", page)
    page.write_text(page.read_text(encoding="utf-8").replace("99.9 %", "99.8 %"), encoding="utf-8")
    assert docs.pages(docs.Sources({}), tmp_path)[0].change != ""
    assert docs.write(docs.Sources({}), tmp_path) == [page]
    assert docs.pages(docs.Sources({}), tmp_path)[0].change == ""


def test_a_table_of_a_record_that_is_not_there_says_so(tmp_path: Path):
    (tmp_path / "a.md").write_text('<!-- figures\nrecord = "nothing"\ncolumns = []\n-->\n<!-- end -->\n')
    with pytest.raises(BadInput, match="nothing.json is not there"):
        docs.pages(docs.Sources({}), tmp_path)


def test_every_command_and_every_option_is_in_the_docs():
    text = (docs.DOCS / "commands.md").read_text(encoding="utf-8")
    missing = [
        f"{name} {option}"
        for name, shown in help_texts(COMMANDS).items()
        for option in [f"`{name}`", *set(re.findall(r"--[a-z-]+", shown))]
        if option not in text
    ]
    assert missing == []
    assert set(help_texts(COMMANDS)) == {command.name for command in COMMANDS}


def test_every_public_question_is_in_the_docs():
    text = (docs.DOCS / "python.md").read_text(encoding="utf-8")
    public = [name for name in dir(Explorer) if not name.startswith("_") and callable(getattr(Explorer, name))]
    assert [name for name in public if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_and_every_picture_leads_somewhere(page: Path):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if not re.match(r"https?:|#", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_command_line_in_the_docs_can_be_read(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    for block in fenced(page, "bash"):
        for line in block.splitlines():
            if line.startswith("python -m backend "):
                words = shlex.split(line, comments=True)[3:]
                try:
                    assert isinstance(command_parser().parse_args(words), argparse.Namespace)
                except SystemExit as error:
                    pytest.fail(f"{page.name}: {line} ({error})")


SNIPPETS = [(path.name, number) for path in PAGES for number in range(len(fenced(path, "python")))]


@pytest.mark.parametrize(("page", "number"), SNIPPETS)
def test_every_snippet_runs_and_prints_something(page: str, number: int, built: Path, tmp_path: Path):
    path = next(path for path in PAGES if path.name == page)
    script = tmp_path / "snippet.py"
    script.write_text(fenced(path, "python")[number], encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, str(script)], cwd=built, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.strip()


def test_the_readme_is_short_enough_to_be_read():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_help_page_shows_every_page_of_the_docs_in_the_order_of_its_index():
    assert set(help_pages.names()) == {path.stem for path in docs.DOCS.glob("*.md")}
    assert next(iter(help_pages.names())) == "index"
    text = "".join(part.text for part in help_pages.parts("index"))
    assert "(help?doc=commands)" in text and ".md)" not in text and "<!--" not in text


def test_comments_and_figures_marks_are_not_shown_on_the_help_page():
    for name in help_pages.names():
        assert "<!--" not in "".join(part.text for part in help_pages.parts(name))
