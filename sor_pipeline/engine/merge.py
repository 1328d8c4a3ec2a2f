"""MERGE: the rows of a table brought to those of another, in one statement.

Belongs here: the construct and how it is written. Does not: which rows (`publish`), when it is worth it (`postgres`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement


class Merge(Executable, ClauseElement):
    """Rows of `rows` (columns by name) put into `target` in place of those that are equal in the columns `on`.

    Columns of `target` that `rows` has not got become null, as in a row put in anew.
    """

    inherit_cache = False

    def __init__(self, target: sa.Table, rows: sa.FromClause, on: Sequence[str]) -> None:
        self.target = target
        self.rows = rows
        self.on = tuple(on)


@compiles(Merge)
def _merge(merge: Merge, compiler: Any, **kw: Any) -> str:
    target, rows = merge.target, merge.rows
    quote, prepared = compiler.preparer.quote_identifier, compiler.preparer
    given = {column.name for column in rows.c}
    names = [column.name for column in target.columns]
    same = " AND ".join(f"target.{quote(name)} = fresh.{quote(name)}" for name in merge.on)
    values = {name: f"fresh.{quote(name)}" if name in given else "NULL" for name in names}
    changed = ", ".join(f"{quote(name)} = {values[name]}" for name in names if name not in merge.on)
    listed, put = ", ".join(map(quote, names)), ", ".join(values.values())
    source = compiler.process(sa.select(*rows.c), **kw)
    kept = f"UPDATE SET {changed}" if changed else "DO NOTHING"
    return (  # every name quoted, every value a parameter
        f"MERGE INTO {prepared.format_table(target)} AS target USING ({source}) AS fresh ON {same}"  # noqa: S608
        f" WHEN MATCHED THEN {kept} WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({put})"
    )
