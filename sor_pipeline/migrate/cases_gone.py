"""Version 2: a case says in which publication what it is about was gone (`gone_in`); those of before learn it.

Belongs here: that, for cases that closed because it was gone. Does not: who gets the open ones; `steward` gives
every open case without a `level` to the first of its path, so none may be written here.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.migrate.frozen import add_missing

CASE = sa.Table(
    "case", sa.MetaData(), sa.Column("case_id", sa.Text), sa.Column("closed_in", sa.BigInteger),
    sa.Column("outcome", sa.Text), sa.Column("gone_in", sa.BigInteger), schema="steward",
)  # fmt: skip


def cases_gone(connection: sa.Connection) -> None:
    """What a case of before was about was gone in the publication that closed it, where `gone` is its outcome."""
    if add_missing(connection, CASE):
        gone = sa.and_(CASE.c.outcome == "gone", CASE.c.gone_in.is_(None))
        connection.execute(sa.update(CASE).where(gone).values(gone_in=CASE.c.closed_in))
