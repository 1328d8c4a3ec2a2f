"""Marts on a server: dbt builds beside them, in a schema of its own, and what differs is put in place at once.

Reads: the published tables, in place
Writes: the schemas `marts` and, for the length of a build, `marts_building`
Raises: MartsFailed where somebody else builds, or something was published meanwhile

Nothing waits for dbt and dbt waits for nobody, so a publication may come while it builds; what it built is then of
two publications, and is not put in place.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sor_pipeline.engine import renewal
from sor_pipeline.errors import Fault, MartsFailed
from sor_pipeline.run import Run
from sor_pipeline.tables import MARTS, MARTS_BUILDING

_VARIABLES = {
    "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
    "passfile": "PGPASSFILE", "options": "PGOPTIONS", "connect_timeout": "PGCONNECT_TIMEOUT",
    "channel_binding": "PGCHANNELBINDING", "gssencmode": "PGGSSENCMODE", "target_session_attrs": "PGTARGETSESSIONATTRS",
}  # fmt: skip
"""What a URL may ask of the connection, as libpq's variables, which dbt's driver reads too."""


@contextmanager
def beside(run: Run, *, afresh: bool, part: bool, wait: float) -> Iterator[None]:
    """A schema for dbt; where the block ends well, its tables become the marts in one transaction.

    It is empty, but for a `part` of the models, to which it is lent the others as they were.
    The transaction is open for as long as dbt builds, but does nothing until then: who loses it, loses all.
    """
    with run.engine.held(), run.engine.begin() as connection:
        if not renewal.only_one(connection, MARTS, wait):
            raise MartsFailed(
                Fault("marts-in-progress", f"schema {MARTS}", "somebody else builds the marts",
                      "a lock in the database", "one build at a time", "wait until it has ended")
            )  # fmt: skip
        before = _published(run, connection)
        with run.engine.begin() as another:
            renewal.emptied(another, MARTS_BUILDING)
            if part:
                renewal.lent(another, MARTS, MARTS_BUILDING)
        yield
        if _published(run, connection) != before:
            raise MartsFailed(
                Fault("marts-overtaken", f"schema {MARTS}", "a run published while dbt was building",
                      "two publications in one", "marts of one publication",
                      "build again; the last marts stay readable")
            )  # fmt: skip
        renewal.renew(connection, MARTS_BUILDING, MARTS, whole=afresh)
        renewal.removed(connection, MARTS_BUILDING)


def _published(run: Run, connection: sa.Connection) -> tuple[object, ...]:
    """What differs as soon as anything that dbt reads does: the publication, and how far its corrections are."""
    told = run.tables.published_correction
    states = sa.select(told.c.state, sa.func.count(), sa.func.max(told.c.proposed_in), sa.func.max(told.c.closed_in))
    rows = connection.execute(states.group_by(told.c.state).order_by(told.c.state)).fetchall()
    return run.published(connection), *(tuple(row) for row in rows)


def environment(url: sa.URL) -> dict[str, str]:
    """The warehouse's URL as the variables that the profile and libpq read; the password is nowhere else."""
    query = {name: value if isinstance(value, str) else value[0] for name, value in url.query.items()}
    user = url.username or query.get("user") or os.environ.get("PGUSER") or getpass.getuser()
    parts = {
        "PGHOST": url.host or query.get("host") or os.environ.get("PGHOST") or "",
        "PGPORT": str(url.port or query.get("port") or os.environ.get("PGPORT") or 5432),
        "PGUSER": user,
        "PGDATABASE": url.database or query.get("dbname") or os.environ.get("PGDATABASE") or user,
        "SOR_DBT_SCHEMA": MARTS_BUILDING,
    }
    password = url.password or query.get("password")
    told = {variable: query[name] for name, variable in _VARIABLES.items() if name in query}
    return {**parts, **told, **({"PGPASSWORD": str(password)} if password else {})}
