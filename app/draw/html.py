"""Pure functions from values to HTML. Whatever is not `Markup` is escaped, so no string of data or people can act.

Characters that the eye or the terminal would swallow are made visible: spaces, line ends, control characters, marks
that turn the direction of writing, and bytes that are not UTF-8.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from app.draw.glossary import headed
from backend.answers.stored import Context, Example, Token
from backend.types import CodeRef

COLOURS = 8  # classes c0 to c7 of style.css
_PLAIN = re.compile(r"[A-Za-z0-9_.,:;!?()=+*/\[\]{}#$%-]*", re.ASCII)  # shown as it is, and means nothing in HTML
_SHOWN = {" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥", "\xa0": "⍽"}


class Spoken(str):
    """What a build says that a code fires on: where nobody has named a code, it stands in the place of its label."""


def written(value: Any) -> str | list[str] | None:
    """Return how an address writes the value of a parameter; None where it is left out: nothing, and what is empty.

    A switch is 1 or 0, a list is the parameter several times, a number has no more digits than it needs.
    """
    if value is None or (isinstance(value, str | list | tuple) and not value):
        return None
    if isinstance(value, list | tuple):
        return [text for text in map(written, value) if isinstance(text, str)]
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def address(page: str, **parameters: Any) -> str:
    """Return a relative address of a page; parameters that are None or empty are left out, lists are repeated."""
    texts = {name: written(value) for name, value in parameters.items()}
    query = urlencode({k: v for k, v in texts.items() if v is not None}, doseq=True, safe="/:,@", errors="replace")
    return f"{page}?{query}" if query else page or "./"


def code_address(ref: CodeRef) -> str:
    """The address of a code's own page."""
    return address("code", model=ref.model, site=ref.site, code=ref.code)


def link(href: str, content: str, css: str = "", title: str = "", key: str = "", code: str = "") -> Markup:
    """A link inside the app: it opens without loading the app again, and is still an honest `<a href>`.

    Args:
        href: what `address` made.
        content: escaped unless it is `Markup`.
        css: class names.
        title: shown on hovering.
        key: the key on the keyboard that follows this link, e.g. `j`.
        code: the code that it is the chip of, where its name may come later.
    """
    more = Markup(' data-key="{}"').format(key) if key else Markup("")
    more += Markup(' data-code="{}"').format(code) if code else ""
    return Markup('<a data-nav="1" href="{}" class="{}" title="{}"{}>{}</a>').format(href, css, title, more, content)


def visible_text(text: str) -> str:
    """The text with every character that cannot be seen replaced by one that can; no HTML."""
    return "".join(_visible_character(c)[0] for c in text)


def visible(text: str) -> Markup:
    """The text as HTML, with stand-ins set apart from characters that are really there."""
    if _PLAIN.fullmatch(text):
        return Markup(text)
    parts = []
    for character in text:
        shown, css = _visible_character(character)
        # the stand-in of a space is no place to break a line, as a space is; words would be broken in their middle
        parts.append(f'<wbr><span class="{css}">{escape(shown)}</span>' if css else str(escape(shown)))
    return Markup("".join(parts))


def _visible_character(character: str) -> tuple[str, str]:
    number = ord(character)
    if character in _SHOWN:
        return _SHOWN[character], "ws"
    if number < 32:
        return chr(0x2400 + number), "ws"
    if number == 127:
        return "␡", "ws"
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8, as `errors="surrogateescape"` keeps it
        return f"\\x{number - 0xDC00:02x}", "hex"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"U+{number:04X}", "hex"
    return character, ""


def colour_of(site: str) -> str:
    """The colour class of a codebook: the same for the same site everywhere; heads of one layer share theirs."""
    head, _, rest = site.partition(".")
    if head[:1] == "L" and head[1:].isdigit() and rest:
        return f"c{(2 * int(head[1:]) + (not rest.startswith('attn'))) % COLOURS}"
    return f"c{zlib.crc32(site.encode()) % COLOURS}"


def coloured(css: str, content: Markup) -> Markup:
    """Give content, e.g. a bar, the colour of a codebook, whose class is `css` (`colour_of`)."""
    return Markup('<span class="{}">{}</span>').format(css, content)


def chip(ref: CodeRef, count: int | None = None, label: str = "", *, model: bool = False, key: str = "") -> Markup:
    """The one way in which a code is shown: coloured by its codebook, with id, label and count, linking to its page.

    Args:
        ref: the code.
        count: how often it fires, where known.
        label: what a person called it, or what it fires on (`Spoken`).
        model: show the model's name too, on pages about several models.
        key: the key on the keyboard that follows this link.
    """
    parts = [Markup('<span class="site">{}</span>').format(f"{ref.model} {ref.site}" if model else ref.site)]
    parts.append(Markup('<span class="id">{}</span>').format(ref.code))
    if label:
        css = "name spoken" if isinstance(label, Spoken) else "name"
        parts.append(Markup('<span class="{}">{}</span>').format(css, visible_label(label)))
    if count is not None:
        parts.append(Markup('<span class="n">{}</span>').format(compact(count)))
    title = (
        f"{ref}"
        + (f" · {visible_label(label)}" if label else "")
        + (f" · fires {count:,} times" if count is not None else "")
    )
    code = "" if label else str(ref)
    return link(code_address(ref), Markup("").join(parts), f"chip {colour_of(ref.site)}", title, key, code)


def chips(content: Iterable[Markup]) -> Markup:
    """Several chips that flow over lines."""
    return Markup('<div class="chips">{}</div>').format(Markup("").join(content))


def visible_label(label: str) -> str:
    """A person's label: ordinary spaces stay, everything else that cannot be seen is shown."""
    if label.isascii() and label.isprintable():
        return label
    return "".join(c if c == " " else _visible_character(c)[0] for c in label)


def visible_lines(text: str) -> Markup:
    """A person's longer text: its line ends are kept, everything else that cannot be seen is shown."""
    return Markup("<br>").join(visible_label(line) for line in text.replace("\r\n", "\n").split("\n"))


def signed(author: str, created: str) -> str:
    """Who and when, in one line."""
    return f"{visible_label(author) or 'no name'}, {created[:16].replace('T', ' ')} UTC"


def compact(number: float) -> str:
    """A count as people read it: 940, 12.3k, 4.56M."""
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{suffix}"
    raise AssertionError("unreachable")


def share(value: float | None) -> str:
    """A fraction in per cent, small ones with enough digits to be told from zero."""
    if value is None or value != value:
        return "–"
    per_cent = 100 * value
    if per_cent == 0 or per_cent >= 1:
        return f"{per_cent:.1f} %"
    return f"{per_cent:.3g} %" if per_cent >= 0.001 else "< 0.001 %"


def number(value: float | None, digits: int = 3) -> str:
    """A measured number; a dash where there is none. From 10,000 on it has no decimals."""
    if value is None or value != value:
        return "–"
    digits = 0 if abs(value) >= 10_000 else digits
    return f"{value:,.{digits}f}" if abs(value) >= 10**-digits or value == 0 else f"{value:.1e}"


def bar(value: float | None, low: float | None = None, high: float | None = None, text: str | None = None) -> Markup:
    """A share from 0 to 1 as a number and a bar, with a whisker for its interval."""
    if value is None or value != value:
        return Markup('<span class="barline"><span class="barnum faint">–</span></span>')
    whisker = Markup("")
    title = share(value)
    if low is not None and high is not None and low == low and high == high:
        width = max(0.0, min(1.0, high) - max(0.0, low))
        whisker = Markup('<b style="left:{:.1f}%;width:{:.1f}%"></b>').format(100 * max(0.0, low), 100 * width)
        title += f", 95 % interval {share(low)} to {share(high)}"
    return Markup(
        '<span class="barline"><span class="barnum">{}</span>'
        '<span class="bar" title="{}"><i style="width:{:.1f}%"></i>{}</span></span>'
    ).format(share(value) if text is None else text, title, 100 * max(0.0, min(1.0, value)), whisker)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[int] = (), caption: str = ""
) -> Markup:
    """A table; cells are escaped unless they are `Markup`.

    Args:
        columns: the headings; words of the glossary are explained.
        rows: one sequence of cells each.
        right: numbers of the columns that are set flush right.
        caption: what the table is, for screen readers.
    """
    classes = ["right" if i in right else "" for i in range(len(columns))]
    head = Markup("").join(
        Markup('<th class="{}" scope="col">{}</th>').format(k, headed(c)) for k, c in zip(classes, columns, strict=True)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup('<td class="{}">{}</td>').format(k, c) for k, c in zip(classes, row, strict=True))
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll"><table aria-label="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(caption, head, body)


def stats(figures: Iterable[tuple[str, Any, Any]]) -> Markup:
    """Figures in a row: (name, value, note below: its denominator, its unit, its interval)."""
    cells = (
        Markup('<div class="stat"><div class="k">{}</div><div class="v">{}</div><div class="d">{}</div></div>').format(
            headed(k), v, d
        )
        for k, v, d in figures
    )
    return Markup('<div class="stats">{}</div>').format(Markup("").join(cells))


def token(token: Token, strength: float | None = None, focus: bool = False) -> Markup:
    """One token with the text before it that belongs to no token.

    Args:
        token: the token.
        strength: 0 to 1, how strongly it is coloured; None leaves it plain.
        focus: it is the one that this is about.
    """
    # Written with plain strings, each part escaped by hand: a page has a thousand tokens, and `Markup.format` is slow.
    title = f"score {token.score:.3f}" if token.fires else ""
    if token.labels:
        title = " · ".join(part for part in (title, labels_text(token.labels)) if part)
    css = "t" + (" fires" if strength is not None else "") + (" focus" if focus else "")
    style = "" if strength is None else f' style="--a:{0.35 + 0.65 * max(0.0, min(1.0, strength)):.2f}"'
    gap = ""
    if token.gap:
        gap = f'<span class="ws">{visible(token.gap)}</span>' if token.gap.strip(" ") else " "
    shown = str(visible(token.text) or "∅")
    if shown.startswith("<wbr>"):  # a line breaks before the token; in it, its frame would be torn in two
        gap, shown = f"{gap}<wbr>", shown.removeprefix("<wbr>")
    return Markup(f'{gap}<span class="{css}"{style} title="{escape(title)}">{shown}</span>')


def labels_text(labels: Mapping[str, str]) -> str:
    """Truth about a token in one line."""
    return ", ".join(f"{visible_label(str(k))} {visible_label(str(v))}" for k, v in labels.items() if v != "")


def example(example: Context, low: float = 0.0, high: float = 1.0, where: str = "", label: str = "") -> Markup:
    """One line: the token in its context, every firing token coloured; score and margin at the end where there are any.

    Args:
        example: the place.
        low: the score that is coloured faintest.
        high: the score that is coloured strongest.
        where: address behind the item's number; empty: no link.
        label: truth about the token, shown at the end.
    """
    span = max(high - low, 1e-9)

    def strength(t: Token) -> float | None:
        if not t.fires:
            return None
        return (t.score - low) / span if t.score == t.score else 0.5

    own = strength(example.token)
    parts = [token(t, strength(t)) for t in example.before]
    parts.append(token(example.token, 1.0 if own is None else own, focus=True))
    parts += [token(t, strength(t)) for t in example.after]
    name = f"item {example.item}"
    meta: Markup | str = link(where, name, title="see the whole item") if where else name
    if isinstance(example, Example):
        meta = Markup('{} · {:.3f} · <span title="score minus that of the runner-up code">+{:.3f}</span>').format(
            meta, example.score, example.margin
        )
    if label:
        meta = Markup('<span class="tag">{}</span> {}').format(visible_label(label), meta)
    return Markup('<div class="example"><div class="text">{}</div><div class="meta">{}</div></div>').format(
        Markup("").join(parts), meta
    )


def examples(
    found: Sequence[Example], css: str, *, where: Callable[[Context], str] | None = None, field: str = ""
) -> Markup:
    """Examples below each other, coloured by score from the faintest to the strongest among them.

    Args:
        found: the places.
        css: the codebook's colour class.
        where: function from an example to the address of its item, or None.
        field: the label field whose value stands at the end of each line.
    """
    scores = [e.score for e in found]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    lines = (example(e, low, high, where(e) if where else "", e.token.labels.get(field, "")) for e in found)
    return Markup('<div class="examples {}">{}</div>').format(css, Markup("").join(lines))


def contexts(found: Sequence[Context], css: str, *, where: Callable[[Context], str] | None = None) -> Markup:
    """Places below each other, without scores."""
    lines = (example(c, where=where(c) if where else "") for c in found)
    return Markup('<div class="examples {}">{}</div>').format(css, Markup("").join(lines))


def pattern_error(pattern: str, position: int | None) -> Markup:
    """The pattern with a caret under the place of the mistake."""
    if position is None:
        return Markup('<pre class="pattern">{}</pre>').format(visible_label(pattern[:400]))
    before = visible_label(pattern[:position])
    return Markup('<pre class="pattern">{}\n{}^ here</pre>').format(visible_label(pattern[:400]), " " * len(before))


def empty(title: str, text: str, examples: Sequence[tuple[str, str]] = ()) -> Markup:
    """Return what stands where there is nothing to show: why, and what to do.

    Args:
        title: what there is not.
        text: why, and what to do.
        examples: what could be asked here, each with the address that asks it.
    """
    links = Markup("").join(link(href, name, "act") for name, href in examples)
    tail = Markup('<div class="actions tries"><span>For example:</span>{}</div>').format(links) if links else ""
    return Markup('<div class="empty"><b>{}</b> {}{}</div>').format(title, text, tail)


def section(title: str, note: str = "") -> Markup:
    """A heading with what it counts beside it."""
    return Markup('<div class="cs-head"><h2>{}</h2><span class="faint">{}</span></div>').format(title, note)


def page_title(title: str, lead: str = "") -> Markup:
    """The page's heading and its question."""
    return Markup('<div class="cs-title"><h1>{}</h1><span class="lead">{}</span></div>').format(title, lead)


def wrap(content: str) -> str:
    """Put content under the app's style sheet; the last step before it is drawn."""
    return str(Markup('<div class="cs">{}</div>').format(content))
