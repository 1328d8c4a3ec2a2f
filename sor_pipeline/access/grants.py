"""`sor grants`: what the roles are to have, put beside what they have; printed, applied, checked, renewed by a run.

Belongs here: the four ways in. Does not: what is wanted (`wanted`) and what is there (`present`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from sor_pipeline import __version__
from sor_pipeline.access import marts, present
from sor_pipeline.access.excess import Finding, findings
from sor_pipeline.access.masks import Mask, masks
from sor_pipeline.access.plan import Statement, given, taken
from sor_pipeline.access.roles import MASKED, PREFIX, ROLES
from sor_pipeline.access.wanted import Kind, Right, Wanted, wanted
from sor_pipeline.engine import rights_quoting as quoting
from sor_pipeline.engine.renewal import patiently
from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import VERSION

SERVER = "postgresql"
_MARK = f"conformed{MASKED}"
"""The schema whose comment notes the prefix, and what the masked views were made for."""
_NOTE = re.compile(r"prefix (\w+) \[sor grants (\w*)\]")
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NAMES = tuple(role.name for role in ROLES)


@dataclass(frozen=True)
class Compared:
    """The description beside the catalogue: rights that are missing, rights that are too many, views that differ."""

    wanted: Wanted
    there: frozenset[Right]
    missing: frozenset[Right]
    excess: frozenset[Right]
    stale: tuple[Mask, ...]
    gone: tuple[tuple[str, str], ...]

    @property
    def same(self) -> bool:
        return not (self.missing or self.excess or self.stale or self.gone)


def compare(run: Run, connection: sa.Connection, prefix: str = PREFIX) -> Compared:
    """Raises SettingsError where the warehouse has no roles (`no-roles`), or the prefix is no name (`bad-prefix`)."""
    refuse(run.settings, prefix)
    there = present.columns(connection)
    want = wanted(
        run.tables, there, masks(run.tables, connection.dialect), marts.open_columns(run.settings, there),
        present.database(connection), prefix,
    )  # fmt: skip
    now = present.rights(connection, prefix, _NAMES)
    noted = present.noted(connection)
    named = {(mask.schema, mask.name) for mask in want.masks}
    owners = {right for right in now if right.kind is Kind.owner}
    return Compared(
        want, now, want.rights - now, now - want.rights - owners,
        tuple(mask for mask in want.masks if noted.get((mask.schema, mask.name)) != mask.digest),
        tuple(sorted(name for name, digest in noted.items() if digest and name not in named)),
    )  # fmt: skip


def refuse(settings: Settings, prefix: str = PREFIX) -> None:
    """Raises SettingsError where there can be no roles, or not with this prefix."""
    kind = sa.make_url(settings.warehouse_url).get_backend_name()
    if kind != SERVER:
        raise SettingsError(
            Fault("no-roles", kind, "the embedded warehouse is a file, and files have no roles", "",
                  "a warehouse on a PostgreSQL server",
                  "let file permissions decide: the state folder for who runs `sor`, conformed.duckdb for who reads; "
                  "give others an export (`sor export`) or a server")
        )  # fmt: skip
    if not _PREFIX.fullmatch(prefix):
        raise SettingsError(
            Fault("bad-prefix", "--prefix", "this cannot begin the name of a role", prefix,
                  "small letters, digits and underscores, at most 40", "name another prefix")
        )  # fmt: skip


def script(run: Run, connection: sa.Connection, prefix: str = PREFIX) -> list[Statement]:
    """All statements that make the description true, whatever is there; what is there too much is taken away."""
    found = compare(run, connection, prefix)
    roles = {right for right in found.there if right.kind is Kind.role}
    return [
        *taken(connection.dialect, found.excess, prefix),
        *given(connection.dialect, found.wanted.rights - roles, found.wanted.masks, prefix),
        _mark(run, connection, prefix),
    ]


def apply(run: Run, connection: sa.Connection, prefix: str = PREFIX) -> list[Statement]:
    """Run what is missing, in the connection's transaction; returns it. Applied again, there is nothing to run."""
    found = compare(run, connection, prefix)
    dialect = connection.dialect
    statements = _mending(dialect, found, prefix)
    if statements or noted(connection) != (prefix, digest(run)):
        statements.append(_mark(run, connection, prefix))
    for statement in statements:
        connection.exec_driver_sql(statement.text, execution_options={"no_parameters": True})
    return statements


def check(run: Run, connection: sa.Connection, prefix: str = PREFIX) -> tuple[list[Statement], list[Finding]]:
    """What `apply` would run, and what no statement of ours mends."""
    found = compare(run, connection, prefix)
    return _mending(connection.dialect, found, prefix), findings(connection, found.wanted, prefix)


def noted(connection: sa.Connection) -> tuple[str, str] | None:
    """The prefix with which roles were given here, and what the views were made for (empty without any).

    None where none were given.
    """
    said = connection.execute(
        sa.select(sa.func.obj_description(sa.func.to_regnamespace(_MARK), sa.literal("pg_namespace")))
    ).scalar_one()
    read = _NOTE.search(said or "")
    if read is None:
        return None
    return read[1], read[2] if any(present.noted(connection).values()) else ""


def digest(run: Run) -> str:
    """Changes with the document, and with whatever of this package shapes tables."""
    return hashlib.sha256(f"{run.ownership.fingerprint} {VERSION} {__version__}".encode()).hexdigest()[:16]


def step_aside(run: Run) -> None:
    """Before tables take another shape: views stand in the way of it, so those of another document or release go.

    Until `renew`, nobody reads masked tables; a run that is killed in between leaves that to the next.
    """
    if run.engine.name != SERVER:
        return
    with run.engine.begin() as connection:
        said = noted(connection)
        if said is None or said[1] in ("", digest(run)):
            return
        patiently(connection)
        for (schema, view), made in present.noted(connection).items():
            if made:
                _run(connection, quoting.no_view(connection.dialect, (schema, view)))
        _run(connection, _marked(connection, said[0], ""))


def renew(run: Run, notice: Callable[[str], None]) -> None:
    """After tables took the document's shape: rights and views follow, where roles were ever given here."""
    if run.engine.name != SERVER:
        return
    with run.engine.begin() as connection:
        said = noted(connection)
        if said is None or said[1] == digest(run):
            return
        notice("the document or the release is another one: rights of the roles follow it")
        apply(run, connection, said[0])


def follow(run: Run, notice: Callable[[str], None]) -> None:
    """After marts were built: new tables get their readers, where roles were ever given here."""
    if run.engine.name != SERVER:
        return
    with run.engine.begin() as connection:
        said = noted(connection)
        if said is not None and apply(run, connection, said[0]):
            notice("marts were made anew: rights of the roles follow them")


def _mending(dialect: Dialect, found: Compared, prefix: str) -> list[Statement]:
    heading = "masked views that are no longer in the description"
    return [
        *taken(dialect, found.excess, prefix),
        *(Statement(heading, quoting.no_view(dialect, view)) for view in found.gone),
        *given(dialect, found.missing | _lost(found), found.stale, prefix),
    ]


def _lost(found: Compared) -> frozenset[Right]:
    """Rights that mending takes away by the way: a new view has none, and a table's SELECT goes with its columns'."""
    views = {(mask.schema, mask.name) for mask in found.stale}
    tables = {(right.place, right.role) for right in found.excess if right.kind is Kind.table}
    return frozenset(
        right
        for right in found.wanted.rights
        if (right.kind in (Kind.owner, Kind.table) and right.place in views)
        or (right.kind is Kind.column and (right.place[:2], right.role) in tables)
    )


def _mark(run: Run, connection: sa.Connection, prefix: str) -> Statement:
    return Statement("noted for the runs that renew this", _marked(connection, prefix, digest(run)))


def _marked(connection: sa.Connection, prefix: str, made_for: str) -> str:
    words = f"conformed without personal values, prefix {prefix} [sor grants {made_for}]"
    return quoting.noted(connection.dialect, "SCHEMA", (_MARK,), words)


def _run(connection: sa.Connection, text: str) -> None:
    connection.exec_driver_sql(text, execution_options={"no_parameters": True})
