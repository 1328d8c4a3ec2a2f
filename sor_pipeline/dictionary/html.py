"""HTML in which no text of the document can be anything but text.

Belongs here: escaping and the few elements that pages are built of. Every function escapes what is not
`Html` already, so a page cannot forget to. Does not: any knowledge of the document.

Pages are Markdown whose blocks are HTML: between `<div>` and `</div>` MkDocs changes nothing, so there is one
language to be safe in, not two.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

_UNPRINTABLE = {"Cc", "Cs", "Co", "Cn"}
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows: they could make a rule read otherwise than it is."""


_CELLS = frozenset({"td", "th", "dt", "dd", "li", "p"})


class Html(str):
    """Text that is safe to stand in a page as it is."""

    __slots__ = ()


def text(value: object) -> Html:
    """The value on one line, escaped (None: nothing); what cannot be printed is shown as a replacement character."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("")
    line = " ".join(str(value).split())
    printable = "".join("\ufffd" if hides(letter) else letter for letter in line)
    return Html(escape(printable, quote=True))


def hides(letter: str) -> bool:
    return letter in _TURNS or unicodedata.category(letter) in _UNPRINTABLE


def element(name: str, *content: object, **attributes: object) -> Html:
    """`<name attributes>content</name>`; `class_` is `class`, other underscores are dashes.

    A cell ends with a space, or search would read the words of two cells as one.
    """
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{''.join(text(part) for part in content)}</{name}>{' ' if name in _CELLS else ''}")


def code(value: object) -> Html:
    return element("code", value)


def link(target: str, *content: object) -> Html:
    """`target` is an address within the site."""
    return element("a", *content, href=target)


def joined(parts: Iterable[object], separator: str = ", ") -> Html:
    return Html(text_of_separator(separator).join(text(part) for part in parts))


def text_of_separator(separator: str) -> str:
    """Separators keep the spaces at their ends, which `text` would take away."""
    return escape(separator, quote=True)


def table(head: Sequence[object], rows: Iterable[Sequence[object]], kind: str = "") -> Html:
    """A table with its header; empty where there are no rows."""
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    if not body:
        return Html("")
    top = element("tr", *(element("th", cell) for cell in head))
    whole = element("table", element("thead", top, data_search_exclude=""), element("tbody", *body))
    return element("div", whole, class_=f"scrolls {kind}".strip())


def facts(pairs: Iterable[tuple[object, object]]) -> Html:
    """A list of terms and what is said of each; terms without anything are left out."""
    said = [(term, value) for term, value in pairs if text(value)]
    rows = [element("div", element("dt", term), element("dd", value)) for term, value in said]
    return element("dl", *rows, class_="facts") if rows else Html("")


def bullets(items: Iterable[object]) -> Html:
    listed = [element("li", item) for item in items]
    return element("ul", *listed) if listed else Html("")


def block(*content: object) -> str:
    """Content as a block of a Markdown page, on a line of its own; nothing where there is no content."""
    whole = "".join(text(part) for part in content)
    return f"<div>{whole}</div>\n\n" if whole else ""
