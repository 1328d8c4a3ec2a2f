"""What the steps ask of a warehouse, asked of every engine.

`GAPS` is the list of what an engine does not do, each with the error that shows it and why that is so. A gap
that closes fails its test until it leaves the list.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.engine.base import Engine
from sor_pipeline.engine.open import open_engine
from sor_pipeline.errors import EngineError
from sor_pipeline_tests.postgres_server import NoServer, OwnServer, PostgresServer, found

ENGINES = ("duckdb", "postgresql")
GAPS: dict[tuple[str, str], tuple[type[BaseException], str]] = {
    ("postgresql", "test_a_text_may_hold_any_character"): (
        EngineError, "PostgreSQL's text has no NUL; it is refused as `text-with-nul`, and stage takes it out before"),
    ("postgresql", "test_names_of_64_bytes"): (
        EngineError, "PostgreSQL cuts names at 63 bytes; they are refused as `name-too-long` before anything is made"),
    ("duckdb", "test_a_second_run_is_refused"): (
        pytest.fail.Exception, "the file is one process's; the state folder's own lock refuses the second run"),
    ("duckdb", "test_readers_see_the_last_commit_while_a_transaction_is_open"): (
        pytest.fail.Exception, "a file has one process; people read the published copy instead"),
    ("duckdb", "test_replace_from_a_select_that_reads_the_target"): (
        AssertionError, "DELETE, then INSERT, ten times as fast as MERGE: rows that read the target are materialised first"),
    ("postgresql", "test_published_tables_are_copied_to_a_file"): (
        AssertionError, "published tables are read in place, on the server"),
}  # fmt: skip
TABLES = sa.MetaData()
THING = sa.Table(
    "thing", TABLES,
    sa.Column("id", sa.Text, info={"key": True}, comment="100 % its own, isn't it"),
    sa.Column("text", sa.Text), sa.Column("decimal", sa.Numeric(18, 4)), sa.Column("integer", sa.BigInteger),
    sa.Column("boolean", sa.Boolean), sa.Column("date", sa.Date), sa.Column("timestamp", sa.DateTime),
    sa.Column("state", sa.SmallInteger), sa.Column("weight", sa.Double),
    schema="conformed", comment="One row per thing.",
)  # fmt: skip
PART = sa.Table(
    "part", TABLES,
    sa.Column("thing", sa.Text, info={"key": True}), sa.Column("number", sa.BigInteger, info={"key": True}),
    sa.Column("select", sa.Text), sa.Column("At Once", sa.Text), schema="staged",
)  # fmt: skip
SCHEMAS = ("staged", "conformed")
SHAPE = pa.schema(
    [
        ("id", pa.string()), ("text", pa.string()), ("decimal", pa.decimal128(18, 4)), ("integer", pa.int64()),
        ("boolean", pa.bool_()), ("date", pa.date32()), ("timestamp", pa.timestamp("us")), ("state", pa.int16()),
        ("weight", pa.float64()),
    ]
)  # fmt: skip
TEXTS = [
    "", " ", "a", "B", "b", "Z", "_", "é", "e\u0301", "ß", "ÿ", "😀", "Ａ", "'", '"', '""', "\\", "\\N", "\\.", "NULL",
    "null", "%s", "%", "%%(x)s", ":x", "$1", ",", ";", "a,b", "\t", "\n", "\r\n", "\r", "a\nb", "\u2028", "\ufeff",
    "\x01", "\x7f", "--", "/*", "x" * 10_000, "y" * 3_000_000, "1", "10", "9", "t", "f", "-", "a-b", "a b", "ab",
]  # fmt: skip
EXTREMES: dict[str, list[Any]] = {
    "text": TEXTS,
    "decimal": [Decimal("99999999999999.9999"), Decimal("-99999999999999.9999"), Decimal("0.0001"), Decimal(0)],
    "integer": [2**63 - 1, -(2**63), 0, -1],
    "boolean": [True, False],
    "date": [date(1, 1, 1), date(9999, 12, 31), date(1900, 2, 28), date(2024, 2, 29)],
    "timestamp": [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(1969, 12, 31, 23, 59, 59, 1)],
    "state": [32767, -32768],
    "weight": [1.5, -0.0, 1e300, 5e-324, 0.1, float("inf"), float("-inf")],
}


@pytest.fixture(autouse=True)
def declared(request: pytest.FixtureRequest) -> None:
    """A declared gap is expected to fail in the declared way, and only so."""
    callspec = getattr(request.node, "callspec", None)
    name = None if callspec is None else callspec.params.get("engine_url")
    if (name, request.node.originalname) in GAPS:
        error, reason = GAPS[name, request.node.originalname]
        request.node.add_marker(pytest.mark.xfail(raises=error, reason=reason, strict=True))


@pytest.fixture
def engine(engine_url: str, tmp_path: Path) -> Iterator[Engine]:
    with opened(engine_url, tmp_path) as engine:
        yield engine


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Engine]:
    """An engine with the tables of this suite."""
    engine = open_engine(url, [folder], wait=1.0)
    engine.create(TABLES, SCHEMAS)
    with engine.held():
        yield engine
    engine.close()


def things(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SHAPE)


def put(engine: Engine, *rows: dict[str, Any]) -> int:
    with engine.begin() as connection:
        return engine.replace(connection, THING, engine.scan_arrow(connection, "given", things(*rows)), ["id"])


def got(engine: Engine, table: sa.Table = THING) -> list[dict[str, Any]]:
    with engine.begin() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c[table.columns.keys()[0]])).fetchall()
    return [{name: value for name, value in row._mapping.items() if value is not None} for row in rows]


def asked(engine: Engine, expression: Any) -> Any:
    with engine.begin() as connection:
        return connection.execute(sa.select(expression)).fetchall()[0][0]


# values


def test_gaps_are_of_tests_that_exist() -> None:
    assert {name for _, name in GAPS} <= set(globals())
    assert {name for name, _ in GAPS} <= set(ENGINES)


@pytest.mark.parametrize("kind", EXTREMES)
def test_stored_types_come_back_as_they_were(engine: Engine, kind: str) -> None:
    rows = [{"id": f"{number:03}", kind: value} for number, value in enumerate([*EXTREMES[kind], None])]
    put(engine, *rows)
    with engine.begin() as connection:
        select = sa.select(THING.c.id, THING.c[kind]).order_by(THING.c.id)
        arrow = engine.fetch(connection, select)
        plain = [tuple(row) for row in connection.execute(select).fetchall()]
    expected = things(*rows).select(["id", kind])
    assert arrow.cast(expected.schema).equals(expected)
    assert arrow.schema.field(kind).type == SHAPE.field(kind).type
    assert plain == [(row["id"], row.get(kind)) for row in rows]


def test_a_text_may_hold_any_character(engine: Engine) -> None:
    put(engine, {"id": "1", "text": "a\0b"})
    assert got(engine) == [{"id": "1", "text": "a\0b"}]


_CELLS = {
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "decimal": st.decimals(-(10**14) + 1, 10**14 - 1, places=4),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "state": st.integers(-(2**15), 2**15 - 1),
    "weight": st.floats(allow_nan=False),
}
_ROWS = st.lists(st.fixed_dictionaries({name: st.none() | cells for name, cells in _CELLS.items()}), max_size=5)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=_ROWS)
def test_any_table_goes_in_and_comes_out(engine: Engine, rows: list[dict[str, Any]]) -> None:
    given_rows = things(*({"id": str(number), **row} for number, row in enumerate(rows)))
    with engine.begin() as connection:
        scan = engine.scan_arrow(connection, "any_rows", given_rows)
        kept = engine.materialise(connection, "any_kept", sa.select(*scan.c))
        back = engine.fetch(connection, sa.select(*(kept.c[name] for name in SHAPE.names)).order_by(kept.c.id))
    assert back.cast(SHAPE).equals(given_rows)


def test_arrow_types_that_libraries_hand_over(engine: Engine) -> None:
    data = pa.table(
        {
            "a": pa.array(["x", None], pa.large_string()), "b": pa.array(["y", "y"]).dictionary_encode(),
            "c": pa.array([1, None], pa.int32()), "d": pa.array([None, None], pa.null()), "e": pa.array([1, 2], pa.uint64()),
        }
    )  # fmt: skip
    with engine.begin() as connection:
        scan = engine.scan_arrow(connection, "handed", data)
        rows = connection.execute(
            sa.select(*(sa.cast(scan.c[name], sa.Text) for name in "abcde")).order_by(scan.c.a)
        ).fetchall()
    assert {tuple(row) for row in rows} == {("x", "y", "1", None, "1"), (None, "y", None, None, "2")}


# order of texts


def by_code_points(engine: Engine) -> None:
    put(engine, *({"id": str(number), "text": text} for number, text in enumerate(TEXTS)))
    with engine.begin() as connection:
        plain = connection.execute(sa.select(THING.c.text).order_by(THING.c.text)).scalars().all()
        collated = connection.execute(sa.select(THING.c.text).order_by(sa.collate(THING.c.text, "C"))).scalars().all()
        least, most = connection.execute(sa.select(sa.func.min(THING.c.text), sa.func.max(THING.c.text))).fetchall()[0]
        kept = engine.materialise(connection, "kept", sa.select((THING.c.text + sa.literal("")).label("text")))
        ranked = connection.execute(
            sa.select(kept.c.text).order_by(sa.func.row_number().over(order_by=kept.c.text))
        ).scalars()
        below = connection.execute(sa.select(sa.func.count()).where(THING.c.text < "a")).scalar_one()
        same = connection.execute(sa.select(sa.func.count()).where(THING.c.text == "é")).scalar_one()
        loaded = engine.scan_arrow(connection, "loaded", pa.table({"text": TEXTS}))
        first = connection.execute(sa.select(sa.func.min(sa.cast(loaded.c.text, sa.Text)))).scalar_one()
        assert list(ranked) == sorted(TEXTS)
    assert plain == collated == sorted(TEXTS)
    assert (least, most, first) == (min(TEXTS), max(TEXTS), min(TEXTS))
    assert (below, same) == (sum(text < "a" for text in TEXTS), 1)


def test_texts_are_ordered_by_code_points(engine: Engine) -> None:
    by_code_points(engine)


def test_texts_are_so_ordered_on_a_server_that_orders_words(tmp_path: Path) -> None:
    """Databases are mostly made with a language's collation; ours must not follow it."""
    with linguistic() as url, opened(url, tmp_path) as engine:
        by_code_points(engine)


@contextmanager
def linguistic() -> Iterator[str]:
    """A database with ICU's order, from whichever installation here has ICU."""
    for binaries in found({}):
        server: PostgresServer
        try:
            server = OwnServer(binaries)
        except NoServer:
            continue
        try:
            with server.database("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'") as url:
                yield url
                return
        except sa.exc.DBAPIError:
            continue
        finally:
            server.stop()
    pytest.skip("no PostgreSQL with ICU here")


# spelling


def _text(value: str) -> sa.ColumnElement[str]:
    return sa.literal(value, sa.Text)


def _cast(value: Any, kind: Any) -> sa.ColumnElement[str]:
    return sa.cast(sa.cast(sa.literal(value, kind), kind), sa.Text)


NOTHING = sa.cast(sa.null(), sa.Text)
SPELLED: dict[str, tuple[Any, Any]] = {
    "true": (_cast(True, sa.Boolean()), "true"),
    "decimal": (_cast(Decimal("1.5"), sa.Numeric(18, 4)), "1.5000"),
    "negative": (_cast(Decimal("-0.5"), sa.Numeric(18, 2)), "-0.50"),
    "integer": (_cast(-(2**63), sa.BigInteger()), "-9223372036854775808"),
    "date": (_cast(date(2026, 3, 1), sa.Date()), "2026-03-01"),
    "early date": (_cast(date(1, 1, 1), sa.Date()), "0001-01-01"),
    "midnight": (_cast(datetime(2026, 3, 1), sa.DateTime()), "2026-03-01 00:00:00"),
    "tenth": (_cast(datetime(2026, 3, 1, 1, 2, 3, 100_000), sa.DateTime()), "2026-03-01 01:02:03.1"),
    "micros": (_cast(datetime(2026, 3, 1, 1, 2, 3, 4), sa.DateTime()), "2026-03-01 01:02:03.000004"),
    "concat skips null": (sa.func.concat(_text("a"), NOTHING, _text("b")), "ab"),
    "plus does not": (_text("a") + NOTHING, None),
    "concat_ws": (sa.func.concat_ws("-", _text("a"), NOTHING, _text("b")), "a-b"),
    "greatest": (sa.func.greatest(sa.literal(1, sa.BigInteger), sa.cast(sa.null(), sa.BigInteger)), 1),
    "least": (sa.func.least(_text("b"), _text("a")), "a"),
    "length": (sa.func.length(_text("é😀")), 2),
    "substr": (sa.func.substr(_text("é😀x"), 2, 1), "😀"),
    "right": (sa.func.right(_text("abc"), 2), "bc"),
    "split": (sa.func.split_part(_text("a.b"), ".", 1), "a"),
    "split beyond": (sa.func.split_part(_text("a"), ".", 2), ""),
    "strpos": (sa.func.strpos(_text("éab"), "b"), 3),
    "translate": (sa.func.translate(_text("a-b.c"), "-.", ""), "abc"),
    "replace": (sa.func.replace(_text("a%b"), "%", "_"), "a_b"),
    "lpad": (sa.func.lpad(_text("7"), 3, "0"), "007"),
    "lpad cuts": (sa.func.lpad(_text("1234"), 3, "0"), "123"),
    "trim": (sa.func.trim(_text("xxaxx"), "x"), "a"),
    "rtrim": (sa.func.rtrim(_text("1.500"), "0"), "1.5"),
    "lower": (sa.func.lower(_text("ABC")), "abc"),
    "md5": (sa.func.md5(_text("é")), hashlib.md5("é".encode()).hexdigest()),
    "chr": (sa.func.chr(0x1F600), "😀"),
    "like": (_text("a%b").like("a!%_", escape="!"), True),
    "startswith": (_text("a%b").startswith("a%", autoescape=True), True),
    "endswith": (_text("a_b").endswith("_b", autoescape=True), True),
    "pattern": (sa.func.regexp_matches(_text("a\nb "), r"[ \n]$"), True),
    "pattern inside": (sa.func.regexp_matches(_text("xay"), "a"), True),
    "abs": (sa.func.abs(sa.cast(sa.literal("-1.5"), sa.Numeric(18, 2))), Decimal("1.50")),
    "minute": (sa.cast(sa.func.floor(sa.extract("minute", sa.cast(sa.literal("2026-03-01 01:02:03"), sa.DateTime))), sa.BigInteger), 2),
    "distinct from": (NOTHING.is_distinct_from(_text("")), True),
    "not distinct": (NOTHING.is_not_distinct_from(NOTHING), True),
    "nullif": (sa.func.nullif(_text(""), ""), None),
    "in nothing": (_text("a").in_([]), False),
    "not in nothing": (_text("a").not_in([]), True),
}  # fmt: skip


def test_functions_give_the_same_everywhere(engine: Engine) -> None:
    answers = {}
    for name, (expression, _) in SPELLED.items():
        try:
            answers[name] = asked(engine, expression)
        except Exception as error:  # all that differ, in one go
            answers[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    assert answers == {name: expected for name, (_, expected) in SPELLED.items()}


def test_aggregates_and_windows_give_the_same_everywhere(engine: Engine) -> None:
    put(
        engine, *({"id": str(n), "integer": n, "boolean": n == 2, "text": t} for n, t in enumerate(["b", None, "a"], 1))
    )
    with engine.begin() as connection:
        one = connection.execute(
            sa.select(
                sa.func.sum(THING.c.integer), sa.func.bool_or(THING.c.boolean), sa.func.count(THING.c.text),
                sa.func.min(THING.c.text), sa.func.count().filter(THING.c.boolean), sa.func.max(sa.case((THING.c.boolean, 5))),
            )
        ).fetchall()[0]  # fmt: skip
        listed = connection.execute(sa.select(THING.c.text).order_by(THING.c.text.asc().nulls_last())).scalars().all()
        lag = sa.func.lag(THING.c.text).over(order_by=THING.c.id)
        before = connection.execute(sa.select(lag).order_by(THING.c.id)).scalars().all()
        values = sa.values(sa.column("field", sa.Text), name="listed").data([("x",), ("y",)])
        crossed = connection.execute(sa.select(sa.func.count()).select_from(THING.join(values, sa.true()))).scalar_one()
    assert tuple(one) == (6, True, 2, "a", 1, 5)
    assert (list(listed), list(before), crossed) == (["a", "b", None], [None, "b", None], 6)


# transactions


def test_a_block_that_ends_commits_and_one_that_raises_does_not(engine: Engine) -> None:
    put(engine, {"id": "kept"})

    def raising() -> None:
        with engine.begin() as connection:
            connection.execute(sa.insert(THING).values(id="lost"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        raising()
    assert got(engine) == [{"id": "kept"}]


def test_a_statement_that_fails_leaves_a_warehouse_that_works(engine: Engine) -> None:
    put(engine, {"id": "kept"})

    def failing() -> None:
        with engine.begin() as connection:
            connection.execute(sa.delete(THING))
            connection.execute(sa.select(sa.table("not_there", sa.column("x"))))

    with pytest.raises((EngineError, sa.exc.DBAPIError)):
        failing()
    assert got(engine) == [{"id": "kept"}]


def test_many_transactions_while_held_and_after(engine_url: str, tmp_path: Path) -> None:
    engine = open_engine(engine_url, [tmp_path])
    engine.create(TABLES, SCHEMAS)
    with engine.held():
        for number in range(5):
            put(engine, {"id": str(number)})
        with engine.held():
            assert len(got(engine)) == 5
        put(engine, {"id": "last"})
    assert len(got(engine)) == 6
    engine.close()
    assert len(got(engine)) == 6


def test_readers_see_the_last_commit_while_a_transaction_is_open(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    put(engine, {"id": "old"})
    seen: list[list[Any]] = []

    def look() -> None:
        other = open_engine(engine_url, [tmp_path], wait=0)
        with other.begin() as reader:
            seen.append(list(reader.execute(sa.select(THING.c.id)).scalars()))

    if engine.name == "duckdb":
        pytest.fail("not from another process")
    with engine.begin() as connection:
        connection.execute(sa.delete(THING))
        connection.execute(sa.insert(THING).values(id="new"))
        reader = threading.Thread(target=look)
        reader.start()
        reader.join(10)
    assert seen == [["old"]]
    assert got(engine) == [{"id": "new"}]


LEASE = sa.Table(
    "lease", sa.MetaData(), sa.Column("lease", sa.Text), sa.Column("token", sa.BigInteger), sa.Column("who", sa.Text),
    sa.Column("since", sa.DateTime), schema="audit",
)  # fmt: skip


def test_a_second_run_is_refused(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    other = open_engine(engine_url, [tmp_path])
    with engine.alone(LEASE, "the first", 0):
        with pytest.raises(EngineError, match="run-in-progress"), other.alone(LEASE, "the second", 0):
            pass
        put(engine, {"id": "1"})
    with other.alone(LEASE, "the second", 0):
        put(other, {"id": "2"})
    other.close()


# rows in and out


def test_replace_puts_rows_in_place_of_their_like(engine: Engine) -> None:
    assert put(engine, {"id": "a", "text": "old", "integer": 1}, {"id": "b", "text": "kept"}) == 2
    assert put(engine, {"id": "a", "text": "new"}, {"id": "c", "text": "c"}) == 2
    assert got(engine) == [{"id": "a", "text": "new"}, {"id": "b", "text": "kept"}, {"id": "c", "text": "c"}]


def test_replace_with_fewer_columns_leaves_the_others_null(engine: Engine) -> None:
    put(engine, {"id": "a", "text": "old", "integer": 1})
    with engine.begin() as connection:
        rows = engine.scan_arrow(connection, "given", pa.table({"text": ["new"], "id": ["a"], "unknown": [1]}))
        assert engine.replace(connection, THING, rows, ["id"]) == 1
    assert got(engine) == [{"id": "a", "text": "new"}]


def test_replace_by_part_of_the_grain_replaces_them_all(engine: Engine) -> None:
    def parts(*rows: tuple[str, int, str]) -> int:
        data = pa.table(
            {name: [row[place] for row in rows] for place, name in enumerate(("thing", "number", "select"))}
        )
        with engine.begin() as connection:
            return engine.replace(connection, PART, engine.scan_arrow(connection, "given", data), ["thing"])

    assert parts(("a", 1, "x"), ("a", 2, "y"), ("b", 1, "z")) == 3
    assert parts(("a", 3, "new")) == 1
    assert got(engine, PART) == [
        {"thing": "a", "number": 3, "select": "new"},
        {"thing": "b", "number": 1, "select": "z"},
    ]


@pytest.mark.parametrize("filled", [False, True])
def test_replace_with_nothing_changes_nothing(engine: Engine, filled: bool) -> None:
    before = [{"id": "a", "text": ""}] if filled else []
    put(engine, *before)
    assert put(engine) == 0
    assert got(engine) == before


def test_replace_from_a_select_that_reads_the_target(engine: Engine) -> None:
    put(engine, {"id": "a", "integer": 1}, {"id": "b", "integer": 2})
    with engine.begin() as connection:
        more = sa.select(THING.c.id, (THING.c.integer + 1).label("integer")).where(THING.c.id == "b").subquery("more")
        engine.replace(connection, THING, more, ["id"])
    assert got(engine) == [{"id": "a", "integer": 1}, {"id": "b", "integer": 3}]


def test_replace_by_columns_that_are_null_puts_beside(engine: Engine) -> None:
    """Null equals nothing, not even null."""
    for one in "ab":
        with engine.begin() as connection:
            rows = engine.scan_arrow(
                connection, "given", pa.table({"id": [one], "text": pa.array([None], pa.string())})
            )
            engine.replace(connection, THING, rows, ["text"])
    assert got(engine) == [{"id": "a"}, {"id": "b"}]


def test_materialise_replaces_sees_its_transaction_and_is_gone_with_it(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(THING), [{"id": "a"}, {"id": "b"}])
        first = engine.materialise(connection, "kept", sa.select(THING.c.id))
        connection.execute(sa.delete(THING).where(THING.c.id == "a"))
        assert connection.execute(sa.select(sa.func.count()).select_from(first)).scalar_one() == 2
        again = engine.materialise(
            connection,
            "kept",
            sa.union_all(sa.select(THING.c.id, THING.c.integer), sa.select(THING.c.id, THING.c.integer)),
        )
        assert connection.execute(sa.select(again.c.id)).scalars().all() == ["b", "b"]
        connection.execute(sa.insert(again).values(id="c"))
        assert connection.execute(sa.delete(again).where(again.c.id == "b")).rowcount == 2
    with engine.begin() as connection:
        engine.materialise(connection, "kept", sa.select(THING.c.id))


def test_materialise_what_is_made_from_the_former_one(engine: Engine) -> None:
    with engine.begin() as connection:
        turn = engine.materialise(connection, "turn_0", sa.select(sa.literal(0, sa.BigInteger).label("n")))
        for number in range(1, 4):
            turn = engine.materialise(connection, f"turn_{number}", sa.select((turn.c.n + 1).label("n")))
        assert connection.execute(sa.select(turn.c.n)).scalar_one() == 3


@pytest.mark.parametrize("name", ['a "quoted" name', "select", "Größe", "x" * 70, "it's 100 %"])
def test_temporary_tables_of_any_name(engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        one = engine.materialise(
            connection, f"{name}1", sa.select(sa.literal(1).label("at"), sa.literal("%").label("a b%"))
        )
        two = engine.materialise(connection, f"{name}2", sa.select(sa.literal(2).label("at")))
        assert [connection.execute(sa.select(table.c["at"])).scalar_one() for table in (one, two)] == [1, 2]
        scan = engine.scan_arrow(connection, f"{name}3", pa.table({"order": [3], "A": [4], "a b%": ["%s"]}))
        assert tuple(connection.execute(sa.select(scan.c["order"], scan.c["A"], scan.c["a b%"])).fetchall()[0]) == (
            3,
            4,
            "%s",
        )
        assert engine.fetch(connection, sa.select(one.c["a b%"])).to_pylist() == [{"a b%": "%"}]


@pytest.mark.parametrize("how", ["arrow", "parquet"])
def test_nothing_to_read_has_its_columns_all_the_same(engine: Engine, tmp_path: Path, how: str) -> None:
    empty = things()
    if how == "parquet":
        pq.write_table(pa.table({"id": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    with engine.begin() as connection:
        scan = (
            engine.scan_arrow(connection, "nothing", empty)
            if how == "arrow"
            else engine.scan_parquet(connection, [tmp_path / "empty.parquet"])
        )
        assert connection.execute(sa.select(scan.c.id)).fetchall() == []
        kept = engine.materialise(connection, "kept", sa.select(*scan.c))
        assert engine.fetch(connection, sa.select(*kept.c)).num_rows == 0
        assert engine.replace(connection, THING, sa.select(scan.c.id).subquery("none"), ["id"]) == 0
        assert engine.fetch(connection, sa.select(THING)).schema.names == THING.columns.keys()


def test_fetch_with_parameters_of_every_kind(engine: Engine) -> None:
    put(engine, {"id": "it's", "text": "%s", "timestamp": datetime(2026, 3, 1), "decimal": Decimal("1.5")})
    select = sa.select(THING.c.id, sa.literal("a%b").label("x")).where(
        THING.c.text == "%s", THING.c.id.in_(["it's", "b"]), THING.c.timestamp >= datetime(2026, 3, 1),
        THING.c.decimal < Decimal(2), THING.c.text.not_in([]),
    )  # fmt: skip
    with engine.begin() as connection:
        assert engine.fetch(connection, select).to_pylist() == [{"id": "it's", "x": "a%b"}]


def test_fetch_of_sums_and_counts_are_numbers(engine: Engine) -> None:
    put(engine, {"id": "a", "integer": 1, "decimal": Decimal("0.5")}, {"id": "b", "integer": 2})
    with engine.begin() as connection:
        (row,) = engine.fetch(
            connection, sa.select(sa.func.count().label("n"), sa.func.sum(THING.c.integer).label("s"))
        ).to_pylist()
    assert (row["n"], int(row["s"])) == (2, 3)


def test_scan_parquet_unites_by_name_and_names_the_file(engine: Engine, tmp_path: Path) -> None:
    one, two = tmp_path / "it's 1.parquet", tmp_path / "ü 2.parquet"
    pq.write_table(pa.table({"_row": [1, 2], "a": ["x", None], "order": ["", " "]}), one)
    pq.write_table(pa.table({"_row": [1], "order": ["q"], "Extra": ["\\N"]}), two)
    with engine.begin() as connection:
        scan = engine.scan_parquet(connection, [one, two])
        assert {"_row", "a", "order", "Extra", "_landed_file"} <= set(scan.c.keys())
        row = sa.type_coerce(scan.c["_row"], sa.BigInteger)
        select = sa.select(scan.c["_landed_file"], row, scan.c.a, scan.c["order"], scan.c["Extra"]).where(row > 0)
        rows = sorted(tuple(one) for one in connection.execute(select).fetchall())
        again = engine.scan_parquet(connection, [one]).alias("again")
        joined = sa.select(sa.func.count()).select_from(
            scan.join(again, again.c["_landed_file"] == scan.c["_landed_file"])
        )
        assert connection.execute(joined).scalar_one() == 4
    assert rows == [(str(one), 1, "x", "", None), (str(one), 2, None, " ", None), (str(two), 1, None, "q", "\\N")]


def test_pack_loses_nothing(engine: Engine) -> None:
    put(engine, {"id": "a"}, {"id": "b"})
    with engine.begin() as connection:
        connection.execute(sa.delete(THING).where(THING.c.id == "a"))
        engine.pack(connection)
    assert got(engine) == [{"id": "b"}]


def test_a_lent_engine_sees_what_is_committed(engine: Engine) -> None:
    put(engine, {"id": "a"})
    with engine.lend() as lent:
        with lent.connect() as connection:
            assert connection.execute(sa.select(THING.c.id)).scalars().all() == ["a"]
        with lent.connect() as connection:
            assert connection.dialect.name == engine.name
    put(engine, {"id": "b"})
    assert len(got(engine)) == 2


def test_exported_gives_committed_rows_in_the_order_of_the_grain(engine: Engine, tmp_path: Path) -> None:
    target = tmp_path / "published.duckdb"
    put(engine, *({"id": text} for text in ("b", "A", "a")))
    engine.export([THING], target)
    first = engine.exported(THING, target)
    assert first is not None
    assert first["id"].to_pylist() == ["A", "a", "b"]
    put(engine, {"id": "a", "text": "new"})
    engine.export([THING], target, lambda table: table.c.id == "a")
    second = engine.exported(THING, target)
    assert second is not None
    assert second["text"].to_pylist() == [None, "new", None]


def test_exported_of_a_table_that_is_not_there_is_none(engine: Engine, tmp_path: Path) -> None:
    missing = sa.Table("missing", sa.MetaData(), sa.Column("id", sa.Text), schema="conformed")
    assert engine.exported(missing, tmp_path / "published.duckdb") is None


def test_published_tables_are_copied_to_a_file(engine: Engine, tmp_path: Path) -> None:
    engine.export([THING], tmp_path / "published.duckdb")
    assert (tmp_path / "published.duckdb").exists()


# shape


def shaped(kind: Any, *more: sa.Column[Any], keeps: bool = False, name: str = "thing") -> sa.MetaData:
    metadata = sa.MetaData()
    info = {"keeps": ("from_publication",)} if keeps else {}
    sa.Table(
        name, metadata, sa.Column("id", sa.Text, info={"key": True}), sa.Column("from_publication", sa.BigInteger),
        *([] if kind is None else [sa.Column("value", kind)]), *more, schema="conformed", info=info,
    )  # fmt: skip
    return metadata


@pytest.fixture
def bare(engine_url: str, tmp_path: Path) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Brings `conformed.thing` to a shape, adds a row, tells what is in it."""
    engine = open_engine(engine_url, [tmp_path])

    def bring(metadata: sa.MetaData, **row: Any) -> list[dict[str, Any]]:
        engine.create(metadata, SCHEMAS, lambda _: "publication 7")
        table = metadata.tables["conformed.thing"]
        if row:
            with engine.begin() as connection:
                connection.execute(sa.insert(table).values(**row))
        return got(engine, table)

    yield bring
    engine.close()


def test_create_again_changes_nothing(engine: Engine) -> None:
    put(engine, {"id": "a", "text": "x"})
    engine.create(TABLES, SCHEMAS)
    assert got(engine) == [{"id": "a", "text": "x"}]


def test_columns_come_go_and_change_their_type(bare: Callable[..., list[dict[str, Any]]]) -> None:
    bare(shaped(sa.Text), id="a", value="7")
    bare(shaped(sa.Text), id="b", value="many")
    assert bare(shaped(sa.BigInteger)) == [{"id": "a", "value": 7}, {"id": "b"}]
    assert bare(shaped(sa.Text, sa.Column("more", sa.Date))) == [{"id": "a", "value": "7"}, {"id": "b"}]
    assert bare(shaped(None)) == [{"id": "a"}, {"id": "b"}]


def test_a_table_that_keeps_loses_nothing(bare: Callable[..., list[dict[str, Any]]]) -> None:
    bare(shaped(sa.Text, keeps=True), id="a", value="7", from_publication=1)
    bare(shaped(sa.Text, keeps=True), id="b", value="many", from_publication=1)
    bare(shaped(None, keeps=True), id="c", from_publication=2)
    beside = sa.Column("value__was_text", sa.Text)
    now = bare(shaped(sa.BigInteger, keeps=True), id="d", value=9, from_publication=3)
    assert [row.get("value") for row in now] == [7, None, None, 9]
    back = bare(shaped(sa.Text, beside, keeps=True))
    assert [row.get("value") for row in back] == ["7", "many", None, "9"]


def test_names_of_64_bytes(engine: Engine) -> None:
    engine.create(shaped(None, sa.Column("x" * 64, sa.Text), name="other"), SCHEMAS)


# errors


def test_errors_say_nothing_of_values(engine: Engine) -> None:
    put(engine, {"id": "a", "text": "secret@x.example"})
    with pytest.raises((EngineError, sa.exc.DBAPIError)) as raised, engine.begin() as connection:
        engine.fetch(connection, sa.select(sa.cast(THING.c.text, sa.BigInteger)))
    if engine.name == "duckdb":
        pytest.xfail("DuckDB's conversion errors quote the value: the steps cast nothing that may fail")
    shown = [str(raised.value), repr(raised.value), str(raised.value.__cause__)]
    assert not any("secret" in text for text in shown[:2])


def test_a_server_that_cannot_be_reached_is_told_without_the_password() -> None:
    url = "postgresql+psycopg://nobody:hunter2@127.0.0.1:1/none"
    with pytest.raises(EngineError) as raised, open_engine(url, [], wait=0).begin():
        pass
    assert "hunter2" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(EngineError), open_engine(f"duckdb:///{tmp_path / 'x.duckdb'}", [], wait=0).begin():
        pass
