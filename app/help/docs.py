"""The pages of `app/docs/` as the Help page shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs"
FIRST = "index"
_PICTURE = re.compile(r"^!\[([^\]]*)\]\(([^)\s]+)\)\s*$")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_LINK = re.compile(r"\]\(([\w-]+)\.md(#[\w-]+)?\)")


@dataclass(frozen=True)
class Part:
    """A run of Markdown, or one picture.

    Attributes:
        text: Markdown, or what the picture shows.
        picture: its file; None where the part is text.
    """

    text: str
    picture: Path | None = None


def names() -> dict[str, str]:
    """Name of a page, as in the address -> its title, in the order in which the first page links to them."""
    titles = {path.stem: _title(path) for path in sorted(FOLDER.glob("*.md"))}
    linked = _LINK.findall((FOLDER / f"{FIRST}.md").read_text(encoding="utf-8"))
    order = dict.fromkeys([FIRST, *(name for name, _ in linked if name in titles), *titles])
    return {name: titles[name] for name in order}


def parts(name: str) -> Iterator[Part]:
    """Cut a page into text and pictures, links among pages turned into addresses of the Help page.

    Args:
        name: key of `names`.
    """
    text = _COMMENT.sub("", (FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    text = _LINK.sub(lambda match: f"](help?doc={match[1]}{match[2] or ''})", text)
    lines: list[str] = []
    for line in text.splitlines():
        if picture := _PICTURE.match(line):
            yield Part("\n".join(lines))
            yield Part(picture[1], (FOLDER / picture[2]).resolve())
            lines = []
        else:
            lines.append(line)
    yield Part("\n".join(lines))


def _title(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip()
