"""The app with the toy page added: a page is a file and a line."""

from pathlib import Path

from app.main import PAGES, run
from app.shell.pages import Page

HERE = Path(__file__).resolve().parent
BOARDS = Page(str(HERE / "boards_page"), "Boards", "Who leads?", item="board")

if __name__ == "__main__":
    run((*PAGES, BOARDS))
