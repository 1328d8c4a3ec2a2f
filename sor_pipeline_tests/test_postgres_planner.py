"""The server's planner knows what a run has just written.

Without it the first resolve of 8,000 records took 13 s instead of 0.5: the server planned nested loops over tables
that it took for empty.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
import sqlalchemy as sa

from sor_pipeline.engine.open import open_engine
from sor_pipeline.engine.postgres import PostgresEngine

THING = sa.Table(
    "thing 100%", sa.MetaData(), sa.Column("id", sa.BigInteger, info={"key": True}), sa.Column("text", sa.Text), schema="staged",
)  # fmt: skip
ESTIMATE = "SELECT reltuples FROM pg_class WHERE relname = %s"


@pytest.fixture
def engine(postgres_url: str) -> Iterator[PostgresEngine]:
    engine = open_engine(postgres_url)
    assert isinstance(engine, PostgresEngine)
    with engine.held():
        engine.create(THING.metadata, ["staged"])
        yield engine


def put(engine: PostgresEngine, connection: sa.Connection, numbers: range) -> None:
    rows = pa.table({"id": list(numbers), "text": [f"{n} words" for n in numbers]})
    engine.replace(connection, THING, engine.scan_arrow(connection, "given", rows), ["id"])


def known(connection: sa.Connection, table: str = THING.name) -> float:
    return float(connection.exec_driver_sql(ESTIMATE, (table,)).scalar_one())


def test_at_once_and_in_the_same_transaction(engine: PostgresEngine) -> None:
    with engine.begin() as connection:
        put(engine, connection, range(5_000))
        assert known(connection) == 5_000
        put(engine, connection, range(4_000, 8_000))
        assert known(connection) == 8_000


def test_little_is_left_to_the_server(engine: PostgresEngine) -> None:
    with engine.begin() as connection:
        put(engine, connection, range(5_000))
        put(engine, connection, range(5_000, 5_400))
        assert known(connection) == 5_000


def test_the_statistics_of_lasting_tables_are_close(engine: PostgresEngine) -> None:
    """People who read the tables get their plans by them too."""
    with engine.begin() as connection:
        put(engine, connection, range(5_000))
        bounds = "SELECT array_length(histogram_bounds::text::text[], 1) FROM pg_stats WHERE attname = 'text' AND tablename = %s"
        assert connection.exec_driver_sql(bounds, (THING.name,)).scalar_one() == 101
        assert connection.exec_driver_sql("SHOW default_statistics_target").scalar_one() == "10"


def test_who_holds_the_table_up_is_not_waited_for(engine: PostgresEngine, postgres_url: str) -> None:
    """As a VACUUM would, for an hour."""
    other = sa.create_engine(postgres_url)
    with other.begin() as holding, engine.begin() as connection:
        holding.exec_driver_sql('LOCK TABLE staged."thing 100%%" IN SHARE UPDATE EXCLUSIVE MODE', ())
        connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
        put(engine, connection, range(5_000))
        assert known(connection) == -1
    other.dispose()


def test_a_temporary_table_that_is_filled_by_a_statement(engine: PostgresEngine) -> None:
    with engine.begin() as connection:
        one = engine.materialise(connection, "filled", sa.select(sa.literal(1).label("n")))
        many = sa.func.generate_series(1, 3_000).column_valued("n")
        connection.execute(sa.insert(one).from_select(["n"], sa.select(many)))
        assert known(connection, "filled") == 3_001
