"""From a warehouse URL to its engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from sor_pipeline.engine.base import Engine
from sor_pipeline.errors import Fault, SettingsError

WAIT_SECONDS = 60.0
"""How long a step waits for another process that holds the warehouse."""


def open_engine(url: str, readable: Sequence[Path] = (), wait: float = WAIT_SECONDS) -> Engine:
    """The engine behind `url`; `readable` are the folders with files that it scans or exports to.

    It waits `wait` seconds for another process to let go of the warehouse.

    Raises SettingsError for a scheme that has no engine.
    """
    scheme = url.split(":", 1)[0].split("+", 1)[0]
    if scheme == "duckdb":
        from sor_pipeline.engine.duckdb import DuckDBEngine

        return DuckDBEngine(Path(str(sa.make_url(url).database)), readable, wait)
    if scheme in ("postgresql", "postgres"):
        return _postgres(url)
    raise SettingsError(
        Fault("unknown-warehouse", "SOR_WAREHOUSE_URL", "no engine for this warehouse", scheme,
              "duckdb:///path/to/warehouse.duckdb or postgresql+psycopg://user@host/database", "correct the URL")
    )  # fmt: skip


def _postgres(url: str) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            Fault("extra-missing", "SOR_WAREHOUSE_URL", "a warehouse on PostgreSQL needs psycopg", "not installed",
                  "psycopg 3", "install sor-pipeline[postgres]")
        ) from error  # fmt: skip
    from sor_pipeline.engine.postgres import PostgresEngine

    return PostgresEngine(url)
