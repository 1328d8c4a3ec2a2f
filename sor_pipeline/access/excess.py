"""What rights alone do not tell: a role that reads more than it was given, or a policy that would blind the pipeline.

Belongs here: such findings; none is mended by a statement of ours. Does not: rights that differ (`grants`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sor_pipeline.access.present import ALL, ATTRIBUTE, CLASS, NAMESPACE, ROLES, relations
from sor_pipeline.access.roles import PUBLISHER
from sor_pipeline.access.roles import ROLES as DESCRIBED
from sor_pipeline.access.wanted import Kind, Wanted

_POWERS = {
    "rolsuper": "SUPERUSER", "rolbypassrls": "BYPASSRLS", "rolcreaterole": "CREATEROLE",
    "rolreplication": "REPLICATION",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that is not as described, and what to do."""

    what: str
    todo: str


def findings(connection: sa.Connection, wanted: Wanted, prefix: str) -> list[Finding]:
    names = [f"{prefix}{role.name}" for role in DESCRIBED]
    known = set(connection.execute(sa.select(ROLES.c.rolname).where(ROLES.c.rolname.in_(names))).scalars())
    found = [*_powers(connection, names), *_forced(connection)]
    for role in DESCRIBED:
        if role.name != PUBLISHER and f"{prefix}{role.name}" in known:
            found += _reads_more(connection, wanted, f"{prefix}{role.name}")
    return found


def _powers(connection: sa.Connection, names: list[str]) -> list[Finding]:
    rows = connection.execute(sa.select(ROLES).where(ROLES.c.rolname.in_(names))).mappings().fetchall()
    return [
        Finding(f"{row['rolname']} is {word}: no right and no policy holds it", f"ALTER ROLE {row['rolname']} NO{word}")
        for row in rows for column, word in _POWERS.items() if row[column]
    ]  # fmt: skip


def _forced(connection: sa.Connection) -> list[Finding]:
    rows = connection.execute(
        sa.select(NAMESPACE.c.nspname, CLASS.c.relname)
        .select_from(relations(["conformed"])).where(CLASS.c.relforcerowsecurity)
    ).fetchall()  # fmt: skip
    return [
        Finding(f"{schema}.{table} forces row security on its owner: publishing is refused, it would see a part only",
                "switch FORCE ROW LEVEL SECURITY off; policies hold for everybody but the owner without it")
        for schema, table in rows
    ]  # fmt: skip


def _reads_more(connection: sa.Connection, wanted: Wanted, role: str) -> list[Finding]:
    """Columns that the role reads through PUBLIC or through another role that it was put into."""
    within = {right.place[0] for right in wanted.rights if right.kind is Kind.member and right.role == role} | {role}
    tables = {r.place for r in wanted.rights if r.role in within and r.kind is Kind.table and r.word == "SELECT"}
    columns = {r.place for r in wanted.rights if r.role in within and r.kind is Kind.column}
    owned = {r.place for r in wanted.rights if r.role in within and r.kind is Kind.owner}
    reads = sa.func.has_column_privilege(role, CLASS.c.oid, ATTRIBUTE.c.attnum, "SELECT")
    rows = connection.execute(
        sa.select(NAMESPACE.c.nspname, CLASS.c.relname, ATTRIBUTE.c.attname)
        .select_from(relations(ALL).join(ATTRIBUTE, ATTRIBUTE.c.attrelid == CLASS.c.oid))
        .where(ATTRIBUTE.c.attnum > 0, sa.not_(ATTRIBUTE.c.attisdropped), reads)
        .order_by(NAMESPACE.c.nspname, CLASS.c.relname, ATTRIBUTE.c.attnum)
    ).fetchall()
    more = [row for row in rows if tuple(row) not in columns and not {tuple(row[:2])} & (tables | owned)]
    shown = ", ".join(".".join(row) for row in more[:5]) + (f" and {len(more) - 5} more" if len(more) > 5 else "")
    todo = "see which grant or role lets it in (PUBLIC, pg_read_all_data, one that it was put into), take that away"
    return [Finding(f"{role} reads what is not in its description: {shown}", todo)] if more else []
