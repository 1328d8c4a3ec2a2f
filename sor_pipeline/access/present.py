"""What the server's catalogue says now: tables, rights, owners, members, views, and what is noted of them.

Belongs here: reading the catalogue. Does not: comparing (`plan`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from sor_pipeline.access.roles import MASKED
from sor_pipeline.access.wanted import Columns, Kind, Right
from sor_pipeline.engine.rights_quoting import PUBLIC
from sor_pipeline.tables import MARTS, SCHEMAS

OURS = (*SCHEMAS, MARTS)
ALL = (*OURS, *(f"{schema}{MASKED}" for schema in SCHEMAS))
NOTED = re.compile(r"\[sor grants (\w*)\]")
"""How a view's comment ends; a schema's says the prefix before."""
_RELATIONS = ("r", "p", "v", "m", "f")


def _catalogue(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns), schema="pg_catalog")


CLASS = _catalogue(
    "pg_class", "oid", "relname", "relnamespace", "relkind", "relowner", "relacl", "reloptions", "relforcerowsecurity"
)  # fmt: skip
NAMESPACE = _catalogue("pg_namespace", "oid", "nspname", "nspowner", "nspacl")
ATTRIBUTE = _catalogue("pg_attribute", "attrelid", "attname", "attnum", "attisdropped", "attacl")
ROLES = _catalogue(
    "pg_roles", "oid", "rolname", "rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication"
)  # fmt: skip
_MEMBERS = _catalogue("pg_auth_members", "roleid", "member")
_DATABASE = _catalogue("pg_database", "oid", "datname", "datacl")
_DEFAULTS = _catalogue("pg_default_acl", "defaclrole", "defaclnamespace", "defaclobjtype", "defaclacl")


def relations(schemas: Collection[str]) -> sa.FromClause:
    """Tables and views of the schemas, joined to their schema."""
    return sa.join(
        CLASS,
        NAMESPACE,
        sa.and_(
            CLASS.c.relnamespace == NAMESPACE.c.oid,
            NAMESPACE.c.nspname.in_(schemas),
            CLASS.c.relkind.in_(_RELATIONS),
        ),
    )


def columns(connection: sa.Connection, schemas: Collection[str] = OURS) -> Columns:
    """Every table and view of the schemas, and its columns."""
    rows = connection.execute(
        sa.select(NAMESPACE.c.nspname, CLASS.c.relname, ATTRIBUTE.c.attname)
        .select_from(relations(schemas).join(ATTRIBUTE, ATTRIBUTE.c.attrelid == CLASS.c.oid))
        .where(ATTRIBUTE.c.attnum > 0, sa.not_(ATTRIBUTE.c.attisdropped))
        .order_by(NAMESPACE.c.nspname, CLASS.c.relname, ATTRIBUTE.c.attnum)
    ).fetchall()
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for schema, table, column in rows:
        found[schema, table] = (*found.get((schema, table), ()), column)
    return found


def database(connection: sa.Connection) -> str:
    return str(connection.execute(sa.select(sa.func.current_database())).scalar_one())


def noted(connection: sa.Connection) -> dict[tuple[str, str], str]:
    """View of a masked schema and the digest of what it was made from; with `""` for the view, of the schema."""
    views = sa.select(
        NAMESPACE.c.nspname, CLASS.c.relname, sa.func.obj_description(CLASS.c.oid, sa.literal("pg_class"))
    ).select_from(relations([name for name in ALL if name.endswith(MASKED)]))
    found = {}
    for schema, view, comment in connection.execute(views).fetchall():
        said = NOTED.search(comment or "")
        found[schema, view] = said[1] if said else ""
    return found


def rights(connection: sa.Connection, prefix: str, roles: Sequence[str]) -> frozenset[Right]:
    """Rights of the roles and of PUBLIC on our schemas, and of the roles on the database, each with its owner."""
    names = [f"{prefix}{role}" for role in roles]
    found = {Right(Kind.role, (), name) for (name,) in connection.execute(
        sa.select(ROLES.c.rolname).where(ROLES.c.rolname.in_(names))).fetchall()}  # fmt: skip
    found |= _members(connection, names) | _owners(connection)
    of_schemas = sa.select(NAMESPACE.c.nspname).select_from(NAMESPACE).where(NAMESPACE.c.nspname.in_(ALL))
    found |= _listed(connection, Kind.schema, of_schemas, NAMESPACE.c.nspacl, NAMESPACE.c.nspowner, names, PUBLIC)
    of_tables = sa.select(NAMESPACE.c.nspname, CLASS.c.relname).select_from(relations(ALL))
    found |= _listed(connection, Kind.table, of_tables, CLASS.c.relacl, CLASS.c.relowner, names, PUBLIC)
    of_columns = (
        sa.select(NAMESPACE.c.nspname, CLASS.c.relname, ATTRIBUTE.c.attname)
        .select_from(relations(ALL).join(ATTRIBUTE, ATTRIBUTE.c.attrelid == CLASS.c.oid))
        .where(sa.not_(ATTRIBUTE.c.attisdropped))
    )
    found |= _listed(connection, Kind.column, of_columns, ATTRIBUTE.c.attacl, CLASS.c.relowner, names, PUBLIC)
    here = sa.select(_DATABASE.c.datname).where(_DATABASE.c.datname == sa.func.current_database())
    found |= _listed(connection, Kind.database, here, _DATABASE.c.datacl, sa.null(), names)
    later = (
        sa.select(NAMESPACE.c.nspname)
        .select_from(
            _DEFAULTS.join(NAMESPACE, NAMESPACE.c.oid == _DEFAULTS.c.defaclnamespace).join(
                ROLES, ROLES.c.oid == _DEFAULTS.c.defaclrole
            )
        )
        .where(NAMESPACE.c.nspname.in_(ALL), _DEFAULTS.c.defaclobjtype == "r", ROLES.c.rolname.in_(names))
    )
    return frozenset(found | _listed(connection, Kind.later, later, _DEFAULTS.c.defaclacl, sa.null(), names))


def _listed(
    connection: sa.Connection, kind: Kind, places: sa.Select[Any], access: sa.ColumnElement[Any],
    owner: sa.ColumnElement[Any], names: Sequence[str], *public: str,
) -> set[Right]:  # fmt: skip
    """The entries of access lists that are about the roles (and PUBLIC), but for what an owner has anyway."""
    entry = sa.func.aclexplode(access).table_valued("grantee", "privilege_type").lateral("entry")
    grantee = ROLES.alias("grantee_role")
    who = sa.case((entry.c.grantee == 0, sa.literal(PUBLIC)), else_=grantee.c.rolname)
    entered = sa.join(places.get_final_froms()[0], entry, sa.true())
    rows = connection.execute(
        places.select_from(sa.join(entered, grantee, grantee.c.oid == entry.c.grantee, isouter=True))
        .add_columns(who, entry.c.privilege_type)
        .where(entry.c.grantee.is_distinct_from(owner), who.in_([*names, *public]))
    ).fetchall()
    return {Right(kind, tuple(row[:-2]), row[-2], row[-1]) for row in rows}


def _members(connection: sa.Connection, names: Sequence[str]) -> set[Right]:
    of, who = ROLES.alias("of_role"), ROLES.alias("who")
    rows = connection.execute(
        sa.select(of.c.rolname, who.c.rolname)
        .select_from(_MEMBERS.join(of, of.c.oid == _MEMBERS.c.roleid).join(who, who.c.oid == _MEMBERS.c.member))
        .where(of.c.rolname.in_(names), who.c.rolname.in_(names))
    ).fetchall()
    return {Right(Kind.member, (group,), role) for group, role in rows}


def _owners(connection: sa.Connection) -> set[Right]:
    of_tables = sa.select(NAMESPACE.c.nspname, CLASS.c.relname, ROLES.c.rolname).select_from(
        relations(ALL).join(ROLES, ROLES.c.oid == CLASS.c.relowner)
    )
    of_schemas = sa.select(NAMESPACE.c.nspname, ROLES.c.rolname).select_from(
        NAMESPACE.join(ROLES, ROLES.c.oid == NAMESPACE.c.nspowner)
    ).where(NAMESPACE.c.nspname.in_(ALL))  # fmt: skip
    every = [*connection.execute(of_tables).fetchall(), *connection.execute(of_schemas).fetchall()]
    return {Right(Kind.owner, tuple(row[:-1]), row[-1]) for row in every}
