"""How a fault words names: the nearest one, and the list of those that exist.

Belongs here: wording shared by loading, conditions and lint. Does not: deciding what is a fault.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LISTED = 12
_SHOWN = 60


def did_you_mean(name: str, names: Iterable[str], otherwise: str) -> str:
    """What to do about an unknown name: the nearest known one, or `otherwise`."""
    near = nearest(name, names)
    return f"did you mean `{near}`?" if near else otherwise


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that is most like an unknown one."""
    return next(iter(difflib.get_close_matches(name[:_SHOWN], list(names), n=1, cutoff=0.6)), None)


def one_of(names: Iterable[str]) -> str:
    """`one of a, b, c`, cut where the list is long."""
    listed = list(names)
    if not listed:
        return "none exists"
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"one of {', '.join(listed[:_LISTED])}{more}"


def shown(value: object) -> str:
    """A value of the document, short enough for a message and on one line."""
    if isinstance(value, dict):
        return f"a mapping of {len(value)} keys" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)} items" if value else "an empty list"
    if value is None:
        return "nothing"
    text = " ".join(str(value)[: _SHOWN * 2].split())
    return f"`{text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}`"
