"""How the server spells what the package's statements ask for.

Belongs here: the compilers: every text is compared in binary order, and functions that the embedded engine has
and a server lacks are written with what it has. Does not: running anything (`postgres`).

Text compares and orders by `COLLATE "C"` wherever it comes from, a column, a parameter or a cast: the engines then
agree about `ORDER BY`, `min`, `max` and `<`, whatever the database was created with.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.dialects.postgresql.psycopg import (
    PGCompiler_psycopg,
    PGDialect_psycopg,
    _PGBigInteger,
    _PGInteger,
)

BINARY = "C"
CAN_ASK = 16
"""The first release that says whether a text reads as a type."""
BUILT_IN = 17
"""The first release with a collation that knows all letters, whatever it was built with."""
_MOST = 90
READ_AS = "sor_read_as"
"""The session's own function that reads a text as a type, or gives null: `postgres_quoting.read_as`."""


class Types(PGTypeCompiler):
    """Types, every text among them with its collation."""

    def _render_string_type(self, name: str, length: int | None, collation: str | None, *more: Any, **kw: Any) -> str:
        return super()._render_string_type(name, length, collation or BINARY, *more, **kw)


class Statements(PGCompiler_psycopg):
    """Statements; a `visit_<name>_func` writes the function of that name."""

    def visit_try_cast(self, cast: Any, **kw: Any) -> str:
        """Null where the value does not read as the type."""
        value, kind = self.process(sa.cast(cast.clause, sa.Text), **kw), self.process(cast.typeclause, **kw)
        plain = kind.split(" COLLATE ")[0]
        read = f"CAST(pg_temp.{READ_AS}({value}, '{plain}') AS {plain})"
        return read if plain == kind else f'{read} COLLATE "{BINARY}"'

    def visit_regexp_matches_func(self, function: Any, **kw: Any) -> str:
        """Whether the pattern is found somewhere."""
        text, pattern = (self.process(one, **kw) for one in function.clauses)
        return f"({text} ~ {pattern})"

    def visit_concat_func(self, function: Any, **kw: Any) -> str:
        """A function takes a hundred arguments here: more of them are put together in parts."""
        texts = [self.process(one, **kw) for one in function.clauses]
        while len(texts) > _MOST:
            texts = [f"concat({', '.join(texts[at : at + _MOST])})" for at in range(0, len(texts), _MOST)]
        return f"concat({', '.join(texts)})"

    def visit_lower_func(self, function: Any, **kw: Any) -> str:
        """Of all letters: by the binary collation alone it would be those of ASCII only."""
        (text,) = (self.process(one, **kw) for one in function.clauses)
        release = _release(self.dialect)
        return f'lower(({text}) COLLATE "{"pg_c_utf8" if release >= BUILT_IN else "und-x-icu"}") COLLATE "{BINARY}"'

    def visit_unnest_func(self, function: Any, **kw: Any) -> str:
        """Of all items of a JSON array: one row each."""
        (array,) = function.clauses
        if getattr(array, "name", "") != "json_extract":
            return f"unnest({self.process(array, **kw)})"
        holder, _ = array.clauses
        return f"json_array_elements(CAST({self.process(holder, **kw)} AS JSON))"

    def visit_json_valid_func(self, function: Any, **kw: Any) -> str:
        """As `jsonb`, which unlike `json` refuses what could not be taken out as text."""
        (text,) = (self.process(one, **kw) for one in function.clauses)
        if _release(self.dialect) < CAN_ASK:
            return f"(pg_temp.{READ_AS}({text}, 'jsonb') IS NOT NULL)"
        return f"pg_input_is_valid({text}, 'jsonb')"

    def visit_json_extract_string_func(self, function: Any, **kw: Any) -> str:
        """The text at a JSON pointer; numbers stay as they are written."""
        text, pointer = (self.process(one, **kw) for one in function.clauses)
        parts = f"CAST(string_to_array(substr({pointer}, 2), '/') AS TEXT)"
        path = f"CAST(replace(replace({parts}, '~1', '/'), '~0', '~') AS TEXT[])"
        return f'(CAST({text} AS JSON) #>> {path}) COLLATE "{BINARY}"'


def _release(dialect: Any) -> int:
    """Before anything is connected: the oldest."""
    return int((dialect.server_version_info or (0,))[0])


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)


class _Integer(_PGInteger):
    """A sum of integers comes as a number of no size."""

    def result_processor(self, dialect: Any, coltype: object) -> Any:  # noqa: ARG002
        return _whole


class _BigInteger(_PGBigInteger):
    """The same."""

    def result_processor(self, dialect: Any, coltype: object) -> Any:  # noqa: ARG002
        return _whole


class Dialect(PGDialect_psycopg):
    """The dialect of psycopg 3, with these compilers."""

    statement_compiler = Statements
    colspecs = {  # noqa: RUF012 (as the class above has it)
        **PGDialect_psycopg.colspecs, sa.Integer: _Integer, sa.BigInteger: _BigInteger,
    }  # fmt: skip
    type_compiler_cls = Types
    supports_statement_cache = True
