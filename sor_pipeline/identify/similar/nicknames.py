"""Given names and what they may stand for: Bob is Robert or Bert, Liz is Elizabeth or Lisa.

Belongs here: the table of the `nicknames` package (English names), as data. Does not: comparing.
"""

from __future__ import annotations

from functools import cache

import polars as pl


@cache
def stands_for() -> pl.DataFrame:
    """Grain: one known given name (name, stands_for): itself and the names that it is short for, sorted."""
    from nicknames import NickNamer

    namer = NickNamer()
    full = namer.canonical_lookup
    names = sorted(full.keys() | namer.nickname_lookup.keys())
    return pl.DataFrame(
        {"name": names, "stands_for": [sorted({name, *full.get(name, ())}) for name in names]},
        schema={"name": pl.String, "stands_for": pl.List(pl.String)},
    )
