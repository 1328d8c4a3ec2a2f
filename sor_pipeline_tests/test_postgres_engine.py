"""The engine on a real PostgreSQL: shapes, rows in and out, what it says when it fails, who may work."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.engine.merge import Merge
from sor_pipeline.engine.open import open_engine
from sor_pipeline.engine.postgres import PostgresEngine
from sor_pipeline.engine.postgres_shape import short
from sor_pipeline.errors import EngineError, SettingsError

SECRET = "ada.lovelace@secret.example"


@pytest.fixture
def engine(postgres_url: str) -> Iterator[PostgresEngine]:
    made = open_engine(postgres_url)
    assert isinstance(made, PostgresEngine)
    with made.held():
        yield made


def things(*more: sa.Column, keeps: bool = False, comment: str = "One row per thing.") -> sa.MetaData:
    metadata = sa.MetaData()
    key = sa.Column("id", sa.Text, nullable=False, info={"key": True}, comment="30 % of it's name")
    info = {"keeps": ("id",)} if keeps else {}
    sa.Table("thing", metadata, key, *more, schema="room", comment=comment, info=info)
    return metadata


def rows(engine: PostgresEngine, table: sa.Table) -> list[tuple]:
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table).order_by(table.c.id))]


def put(engine: PostgresEngine, table: sa.Table, *values: dict[str, object]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(table), list(values))


@contextmanager
def watched(engine: PostgresEngine) -> Iterator[list[str]]:
    """Statements that are sent while the block runs."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        sent.append(statement)

    sa.event.listen(engine._engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine._engine, "before_cursor_execute", note)


# Shapes


def test_nothing_is_told_to_the_server_that_is_so_already(engine: PostgresEngine) -> None:
    metadata = things(sa.Column("name", sa.Text, comment='it\'s 5 % \\ "x"'), sa.Column("n", sa.Numeric(18, 2)))
    engine.create(metadata, ["room", "other"])
    with watched(engine) as sent:
        engine.create(metadata, ["room", "other"])
    assert sent
    assert [one for one in sent if not one.lstrip().startswith("SELECT")] == []


def test_an_ordinary_create_waits_for_no_reader(engine: PostgresEngine, postgres_url: str) -> None:
    metadata = things(sa.Column("name", sa.Text))
    engine.create(metadata, ["room"])
    reader = open_engine(postgres_url)
    with reader.begin() as connection:
        connection.execute(sa.select(metadata.tables["room.thing"])).all()
        engine.create(things(sa.Column("name", sa.Text, comment="a new comment"), comment="another"), ["room"])


def test_comments_of_the_document_are_in_the_catalogue(engine: PostgresEngine) -> None:
    engine.create(things(sa.Column("name", sa.Text, comment="it's 5 %")), ["room"])
    engine.create(things(sa.Column("name", sa.Text, comment="said anew")), ["room"])
    with engine.begin() as connection:
        inspector = sa.inspect(connection)
        assert inspector.get_table_comment("thing", "room") == {"text": "One row per thing."}
        assert [c["comment"] for c in inspector.get_columns("thing", "room")] == ["30 % of it's name", "said anew"]


def test_columns_come_go_and_change_their_type(engine: PostgresEngine) -> None:
    old = things(sa.Column("n", sa.Text), sa.Column("gone", sa.Text))
    engine.create(old, ["room"])
    put(engine, old.tables["room.thing"], {"id": "a", "n": "12.5", "gone": "x"}, {"id": "b", "n": SECRET, "gone": "y"})
    new = things(sa.Column("n", sa.Numeric(18, 2)), sa.Column("come", sa.Date))
    engine.create(new, ["room"])
    assert rows(engine, new.tables["room.thing"]) == [("a", Decimal("12.50"), None), ("b", None, None)]


def test_a_history_loses_nothing(engine: PostgresEngine) -> None:
    old = things(sa.Column("n", sa.Text), sa.Column("gone", sa.Text), keeps=True)
    engine.create(old, ["room"])
    put(engine, old.tables["room.thing"], {"id": "a", "n": "12", "gone": "x"}, {"id": "b", "n": "twelve", "gone": "y"})
    new = things(sa.Column("n", sa.BigInteger), keeps=True)
    engine.create(new, ["room"], lambda _: "publication 3")
    whole = things(
        sa.Column("n", sa.BigInteger), sa.Column("gone", sa.Text), sa.Column("n__was_text", sa.Text), keeps=True
    )
    assert rows(engine, whole.tables["room.thing"]) == [("a", 12, "x", "12"), ("b", None, "y", "twelve")]
    with engine.begin() as connection:
        comments = {c["name"]: c["comment"] for c in sa.inspect(connection).get_columns("thing", "room")}
    assert comments["gone"] == "no longer in the document since publication 3"
    assert comments["n__was_text"] == "n as it was published before publication 3 changed its type"
    engine.create(old, ["room"], lambda _: "publication 4")
    assert [row[:3] for row in rows(engine, old.tables["room.thing"])] == [("a", "12", "x"), ("b", "twelve", "y")]
    with engine.begin() as connection:
        comments = {c["name"]: c["comment"] for c in sa.inspect(connection).get_columns("thing", "room")}
    assert comments["gone"] is None


def test_a_whole_history_stays_when_its_entity_goes(engine: PostgresEngine) -> None:
    old = things(keeps=True)
    engine.create(old, ["room"])
    put(engine, old.tables["room.thing"], {"id": "a"})
    left = sa.MetaData()
    sa.Table("other", left, sa.Column("id", sa.Text, info={"key": True}), schema="room", info={"keeps": ("id",)})
    engine.create(left, ["room"], lambda _: "publication 9")
    with engine.begin() as connection:
        words = sa.inspect(connection).get_table_comment("thing", "room")["text"]
    assert words == "no longer in the document since publication 9"
    engine.create(old, ["room"])
    with engine.begin() as connection:
        assert sa.inspect(connection).get_table_comment("thing", "room")["text"] == "One row per thing."
    assert rows(engine, old.tables["room.thing"]) == [("a",)]


def test_names_that_the_server_would_cut_are_refused_all_at_once(engine: PostgresEngine) -> None:
    long, umlauts = "n" * 64, "ü" * 32
    with pytest.raises(EngineError) as raised:
        engine.create(things(sa.Column(long, sa.Text), sa.Column(umlauts, sa.Text)), ["room"])
    assert [fault.code for fault in raised.value.faults] == ["name-too-long"] * 2
    assert {fault.found for fault in raised.value.faults} == {long, umlauts}


def test_names_of_temporary_tables_are_shortened_and_stay_apart(engine: PostgresEngine) -> None:
    one, other = "t" * 70 + "1", "t" * 70 + "2"
    assert len(short(one)) == 63
    with engine.begin() as connection:
        a = engine.materialise(connection, one, sa.select(sa.literal("a").label("x")))
        b = engine.materialise(connection, other, sa.select(sa.literal("b").label("x")))
        assert connection.execute(sa.select(a.c.x, b.c.x).join(b, sa.true())).one() == ("a", "b")


# Rows


VALUES = st.fixed_dictionaries(
    {
        "t": st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
        "n": st.none() | st.decimals(Decimal("-1e16") + 1, Decimal("1e16") - 1, places=2),
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "s": st.none() | st.integers(-(2**15), 2**15 - 1),
        "b": st.none() | st.booleans(),
        "d": st.none() | st.dates(),
        "ts": st.none() | st.datetimes(),
        "f": st.none() | st.floats(allow_nan=False),
    }
)
SHAPE = pa.schema(
    {
        "t": pa.string(), "n": pa.decimal128(18, 2), "i": pa.int64(), "s": pa.int16(), "b": pa.bool_(),
        "d": pa.date32(), "ts": pa.timestamp("us"), "f": pa.float64(),
    }
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VALUES, max_size=12))
def test_every_stored_type_comes_back_as_it_went(engine: PostgresEngine, values: list[dict[str, object]]) -> None:
    data = pa.Table.from_pylist(
        [{**one, "at": at} for at, one in enumerate(values)], SHAPE.append(pa.field("at", pa.int64()))
    )
    with engine.begin() as connection:
        scanned = engine.scan_arrow(connection, "given", data)
        kept = engine.materialise(connection, "kept", sa.select(scanned))
        back = engine.fetch(connection, sa.select(kept).order_by(kept.c.at))
    assert back.schema.types == data.schema.types
    assert back.to_pylist() == data.to_pylist()


@pytest.mark.parametrize("texts", [[None], [""], [None, "", None], ["\n", None, '"', "\\.", "\\N", "a,b", "\r\n", " "]])
def test_one_column_of_awkward_texts(engine: PostgresEngine, texts: list[str | None]) -> None:
    with engine.begin() as connection:
        scanned = engine.scan_arrow(connection, "given", pa.table({"x": pa.array(texts, pa.string())}))
        assert engine.fetch(connection, sa.select(scanned.c.x)).column("x").to_pylist() == texts


def test_no_rows_keep_their_types(engine: PostgresEngine) -> None:
    with engine.begin() as connection:
        scanned = engine.scan_arrow(connection, "given", SHAPE.empty_table())
        assert engine.fetch(connection, sa.select(scanned)).schema.types == SHAPE.types


def test_parameters_of_every_kind_reach_fetch_and_materialise(engine: PostgresEngine) -> None:
    moment, day = dt.datetime(2026, 1, 2, 3, 4, 5, 6), dt.date(2026, 1, 2)
    chosen = sa.select(
        sa.literal("it's 100 % \\ :x %(y)s").label("t"), sa.literal(moment).label("at"), sa.literal(day).label("on"),
        sa.literal(-3).label("n"), sa.literal(True).label("b"), sa.literal("b").in_(["a", "b"]).label("found"),
    )  # fmt: skip
    expected = ("it's 100 % \\ :x %(y)s", moment, day, -3, True, True)
    with engine.begin() as connection:
        assert tuple(engine.fetch(connection, chosen).to_pylist()[0].values()) == expected
        assert connection.execute(sa.select(engine.materialise(connection, "m", chosen))).one() == expected


def test_a_sum_of_integers_is_one(engine: PostgresEngine) -> None:
    with engine.begin() as connection:
        given_rows = engine.scan_arrow(connection, "given", pa.table({"n": pa.array([1, 2], pa.int64())}))
        total = sa.select(sa.func.sum(given_rows.c.n).label("n"))
        assert type(connection.execute(total).scalar_one()) is int
        assert engine.fetch(connection, total).to_pylist() == [{"n": 3}]


def test_text_is_ordered_by_its_bytes_wherever_it_comes_from(engine: PostgresEngine) -> None:
    engine.create(things(sa.Column("name", sa.Text)), ["room"])
    thing = things(sa.Column("name", sa.Text)).tables["room.thing"]
    with engine.begin() as connection:
        given_rows = engine.scan_arrow(connection, "given", pa.table({"x": ["a", "B", "_", "ä", "Z"]}))
        engine.materialise(
            connection, "kept",
            sa.select(given_rows.c.x, sa.literal("q").label("said"), sa.cast(sa.literal(5), sa.Text).label("made"),
                      sa.func.concat(given_rows.c.x, "z").label("joined"), sa.func.lower(given_rows.c.x).label("low")),
        )  # fmt: skip
        ordered = connection.execute(sa.select(given_rows.c.x).order_by(given_rows.c.x)).scalars().all()
        collations = connection.exec_driver_sql(
            "SELECT DISTINCT attcollation::regcollation::text FROM pg_attribute WHERE attnum > 0 AND attcollation <> 0"
            " AND attrelid IN ('pg_temp.kept'::regclass, 'pg_temp.given'::regclass, 'room.thing'::regclass)"
        ).scalars().all()  # fmt: skip
    assert ordered == sorted(["a", "B", "_", "ä", "Z"], key=str.encode)
    assert [one.removeprefix("pg_catalog.").strip('"') for one in collations] == ["C"]
    assert thing is not None


def test_letters_are_folded_whatever_the_alphabet(engine: PostgresEngine) -> None:
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.func.lower(sa.literal("ÄΣЖ")))).scalar_one() in ("äσж", "äςж")


def test_more_texts_than_a_function_takes(engine: PostgresEngine) -> None:
    texts = [str(number) for number in range(250)]
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.func.concat(*texts))).scalar_one() == "".join(texts)


@pytest.mark.parametrize(
    ("holder", "pointer", "expected"),
    [
        ('{"a": {"b": [1, "x"]}}', "/a/b/1", "x"), ('{"a/b": {"c~d": true}}', "/a~1b/c~0d", "true"), ('{"a": null}', "/a", None),
        ("{broken", "/a", "no json"), ('{"a": "\\u0000"}', "/a", "no json"), ('{"a": "\\ud800"}', "/a", "no json"),
        ("[5]", "/0", "5"), ('{"a": 1}', "/b", None),
    ],
)  # fmt: skip
def test_paths_into_json(engine: PostgresEngine, holder: str, pointer: str, expected: str | None) -> None:
    with engine.begin() as connection:
        given_rows = engine.scan_arrow(connection, "given", pa.table({"x": [holder]}))
        found = sa.case(
            (sa.func.json_valid(given_rows.c.x), sa.func.json_extract_string(given_rows.c.x, pointer)), else_="no json"
        )
        assert connection.execute(sa.select(found)).scalar_one() == expected


def test_a_text_with_nul_is_refused_without_being_told(engine: PostgresEngine) -> None:
    with pytest.raises(EngineError) as raised, engine.begin() as connection:
        engine.scan_arrow(connection, "given", pa.table({"mail": ["fine", f"{SECRET}\0"]}))
    assert raised.value.faults[0].code == "text-with-nul"
    assert raised.value.faults[0].where == "given.mail"
    assert SECRET not in everything_said(raised.value)


def test_landed_files_are_united_by_name(engine: PostgresEngine, tmp_path: Path) -> None:
    one, other = tmp_path / "one.parquet", tmp_path / "ö'ther.parquet"
    pq.write_table(pa.table({"_row": pa.array([1, 2], pa.int64()), "a": ["x", None]}), one)
    pq.write_table(pa.table({"b": [""], "_row": pa.array([1], pa.int64())}), other)
    with engine.begin() as connection:
        landed = engine.scan_parquet(connection, [one, other])
        again = engine.scan_parquet(connection, [one, other])
        found = connection.execute(sa.select(landed).order_by(landed.c._landed_file, landed.c._row)).all()
        assert connection.execute(sa.select(sa.func.count()).select_from(again)).scalar_one() == 3
    assert [tuple(row) for row in found] == [
        (1, "x", None, str(one)), (2, None, None, str(one)), (1, None, "", str(other)),
    ]  # fmt: skip


def test_replace_merges_and_says_how_many(engine: PostgresEngine) -> None:
    thing = things(sa.Column("a", sa.Text), sa.Column("b", sa.Text)).tables["room.thing"]
    engine.create(thing.metadata, ["room"])

    def replaced(data: dict[str, list[str | None]], *on: str) -> int:
        with engine.begin() as connection:
            return engine.replace(connection, thing, engine.scan_arrow(connection, "fresh", pa.table(data)), on)

    assert replaced({"id": ["x", "y"], "a": ["1", "2"], "b": ["1", "2"]}, "id") == 2
    assert replaced({"id": ["y", "z"], "a": ["3", None]}, "id") == 2
    assert rows(engine, thing) == [("x", "1", "1"), ("y", "3", None), ("z", None, None)]
    assert replaced({"id": ["w"], "a": ["3"]}, "a") == 1
    assert rows(engine, thing) == [("w", "3", None), ("x", "1", "1"), ("z", None, None)]
    assert replaced({"id": [], "a": []}, "id") == 0


def test_merge_over_nothing_but_keys(engine: PostgresEngine) -> None:
    thing = things().tables["room.thing"]
    engine.create(thing.metadata, ["room"])
    put(engine, thing, {"id": "a"})
    with engine.begin() as connection:
        connection.execute(Merge(thing, engine.scan_arrow(connection, "fresh", pa.table({"id": ["a", "b"]})), ["id"]))
    assert rows(engine, thing) == [("a",), ("b",)]


def test_temporary_tables_are_gone_with_their_transaction(engine: PostgresEngine) -> None:
    with engine.begin() as connection:
        kept = engine.materialise(connection, "kept", sa.select(sa.literal(1).label("x")))
        kept = engine.materialise(connection, "kept", sa.select(sa.literal(2).label("x")))
        assert connection.execute(sa.select(kept.c.x)).scalar_one() == 2
    with pytest.raises(sa.exc.ProgrammingError, match="42P01"), engine.begin() as connection:
        connection.execute(sa.select(kept))


def test_what_is_published_is_read_in_place(engine: PostgresEngine, tmp_path: Path) -> None:
    thing = things(sa.Column("a", sa.Text)).tables["room.thing"]
    assert engine.exported(thing, tmp_path / "none") is None
    engine.create(thing.metadata, ["room"])
    put(engine, thing, {"id": "b", "a": "2"}, {"id": "B", "a": "1"})
    engine.export([thing], tmp_path / "none")
    found = engine.exported(thing, tmp_path / "none")
    assert found is not None
    assert found.to_pylist() == [{"id": "B", "a": "1"}, {"id": "b", "a": "2"}]
    assert not (tmp_path / "none").exists()


def test_a_lent_engine_only_reads(engine: PostgresEngine) -> None:
    engine.create(things(), ["room"])
    with engine.lend() as lent, lent.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM room.thing")).scalar_one() == 0
        with pytest.raises(EngineError, match="25006"):
            connection.execute(sa.text("DELETE FROM room.thing"))


# What is said


def everything_said(error: BaseException) -> str:
    """Of an error and of all that led to it."""
    said, seen = [], error
    while seen is not None:
        said += [str(seen), repr(seen)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(said)


def cast(engine: PostgresEngine, connection: sa.Connection) -> None:
    connection.execute(sa.select(sa.cast(sa.literal(SECRET), sa.Integer)))


def fetch_cast(engine: PostgresEngine, connection: sa.Connection) -> None:
    engine.fetch(connection, sa.select(sa.cast(sa.literal(SECRET), sa.Integer)))


def materialise_cast(engine: PostgresEngine, connection: sa.Connection) -> None:
    engine.materialise(connection, "m", sa.select(sa.cast(sa.literal(SECRET), sa.Date).label("x")))


def duplicate(engine: PostgresEngine, connection: sa.Connection) -> None:
    thing = things().tables["room.thing"]
    connection.execute(sa.insert(thing), [{"id": SECRET}, {"id": SECRET}])


def missing(engine: PostgresEngine, connection: sa.Connection) -> None:
    thing = things(sa.Column("a", sa.Text)).tables["room.thing"]
    connection.execute(sa.insert(thing).values(id=None, a=SECRET))


def copied(engine: PostgresEngine, connection: sa.Connection) -> None:
    connection.exec_driver_sql("CREATE TEMPORARY TABLE narrow (n integer)")
    from sor_pipeline.engine import postgres_load, postgres_quoting

    with engine._speaking():
        statement = postgres_quoting.copy_in(engine._dialect, "narrow", ["n"])
        postgres_load.copy_in(engine._driver(connection), statement, pa.table({"n": [SECRET]}).to_batches(), "narrow")


def long_key(engine: PostgresEngine, connection: sa.Connection) -> None:
    import random

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6000))
    connection.execute(sa.insert(things().tables["room.thing"]).values(id=SECRET + noise))


@pytest.mark.parametrize(
    ("doing", "state"),
    [(cast, "22P02"), (fetch_cast, "22P02"), (materialise_cast, "22007"), (duplicate, "23505"), (missing, "23502"),
     (copied, "22P02"), (long_key, "54000")],
)  # fmt: skip
def test_no_error_tells_a_value(engine: PostgresEngine, doing, state: str) -> None:
    engine.create(things(sa.Column("a", sa.Text)), ["room"])
    with pytest.raises(EngineError) as raised, engine.begin() as connection:
        doing(engine, connection)
    assert raised.value.faults[0].code == "warehouse-failed"
    assert state in str(raised.value)
    assert SECRET not in everything_said(raised.value)
    assert SECRET[:8] not in everything_said(raised.value)


def test_a_violation_names_constraint_and_table(engine: PostgresEngine) -> None:
    engine.create(things(), ["room"])
    with (
        pytest.raises(EngineError, match=r"constraint thing__grain, schema room, table thing"),
        engine.begin() as connection,
    ):
        duplicate(engine, connection)


def test_a_lost_connection_is_told_as_such(engine: PostgresEngine) -> None:
    with pytest.raises(EngineError) as raised, engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_terminate_backend(sa.func.pg_backend_pid())))
    assert raised.value.faults[0].code == "warehouse-unavailable"
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.literal(1))).scalar_one() == 1


def test_a_statement_that_takes_too_long(engine: PostgresEngine) -> None:
    with pytest.raises(EngineError, match="statement_timeout") as raised, engine.begin() as connection:  # noqa: PT012
        connection.execute(sa.select(sa.func.set_config("statement_timeout", "50", True)))
        connection.execute(sa.select(sa.func.pg_sleep(5)))
    assert raised.value.faults[0].code == "warehouse-failed"


def test_a_right_that_is_lacking(engine: PostgresEngine, postgres_url: str) -> None:
    engine.create(things(), ["room"])
    with pytest.raises(EngineError) as raised, engine.begin() as connection:  # noqa: PT012
        connection.exec_driver_sql("SET LOCAL ROLE pg_monitor")
        connection.execute(sa.select(things().tables["room.thing"]))
    assert raised.value.faults[0].code == "warehouse-forbidden"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"database": "no_such_database"}, "warehouse-refused"),
        ({"query": {"host": "/nowhere"}}, "warehouse-unavailable"),
    ],
)
def test_a_server_that_cannot_be_reached(postgres_url: str, change: dict, code: str) -> None:
    url = sa.make_url(postgres_url).set(**change, password="hush-hush")
    with pytest.raises(EngineError) as raised, open_engine(url.render_as_string(hide_password=False)).begin():
        pass
    assert raised.value.faults[0].code == code
    assert "hush-hush" not in everything_said(raised.value)


def test_a_database_that_cannot_hold_every_text_is_refused(postgres) -> None:
    with (
        postgres.database("ENCODING 'SQL_ASCII' LOCALE 'C'") as url,
        pytest.raises(EngineError, match="postgresql-unfit"),
        open_engine(url).begin(),
    ):
        pass


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"sor-pipeline\[postgres\]"):
        open_engine("postgresql+psycopg://somebody@/there")


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_whatever_driver_the_url_names(postgres_url: str, driver: str) -> None:
    url = sa.make_url(postgres_url).set(drivername=driver).render_as_string(hide_password=False)
    with open_engine(url).begin() as connection:
        assert isinstance(connection.connection.driver_connection, psycopg.Connection)


# Who may work


def lease() -> sa.Table:
    return sa.Table(
        "lease", sa.MetaData(), sa.Column("lease", sa.Text, info={"key": True}), sa.Column("token", sa.BigInteger),
        sa.Column("who", sa.Text), sa.Column("since", sa.DateTime), schema="audit",
    )  # fmt: skip


def test_a_second_run_is_told_who_holds_the_warehouse_and_since_when(postgres_url: str) -> None:
    one, other = open_engine(postgres_url), open_engine(postgres_url)
    with one.held(), one.alone(lease(), "ada on night-shift", 0):
        told = r"ada on night-shift, since 20\d\d-"
        with pytest.raises(EngineError, match=told) as raised, other.alone(lease(), "bob", 0.3):
            pass
        assert raised.value.faults[0].code == "run-in-progress"
        with other.begin() as connection:
            assert connection.execute(sa.select(lease().c.who)).scalar_one() == "ada on night-shift"
    with other.alone(lease(), "bob", 0):
        pass


def test_a_run_that_lost_its_place_writes_nothing_more(postgres_url: str) -> None:
    lost, next_one = open_engine(postgres_url), open_engine(postgres_url)
    thing = things().tables["room.thing"]
    with lost.held(), lost.alone(lease(), "lost", 0):
        lost.create(thing.metadata, ["room"])
        with next_one.begin() as connection:
            locks = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
            for pid in connection.exec_driver_sql(locks).scalars().all():
                connection.execute(sa.select(sa.func.pg_terminate_backend(pid)))
        put(lost, thing, {"id": "nobody took its place yet"})
        with next_one.held(), next_one.alone(lease(), "next", 5):
            with pytest.raises(EngineError, match="next") as raised:
                put(lost, thing, {"id": "too late"})
            assert raised.value.faults[0].code == "lease-lost"
            assert rows(next_one, thing) == [("nobody took its place yet",)]


def test_the_next_holder_waits_for_the_last_transaction_of_one_that_lost_its_place(postgres_url: str) -> None:
    import threading

    lost, next_one = open_engine(postgres_url), open_engine(postgres_url)
    thing = things().tables["room.thing"]
    order: list[str] = []

    def take() -> None:
        with next_one.held(), next_one.alone(lease(), "next", 5):
            order.append("taken")

    with lost.held(), lost.alone(lease(), "lost", 0):
        lost.create(thing.metadata, ["room"])
        with lost.begin() as connection:
            holders = sa.text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()")
            for pid in connection.execute(holders).scalars().all():
                connection.execute(sa.select(sa.func.pg_terminate_backend(pid)))
            other = threading.Thread(target=take)
            other.start()
            other.join(1)
            connection.execute(sa.insert(thing).values(id="in time"))
            order.append("committed")
        other.join(10)
    assert order == ["committed", "taken"]


def test_parts_are_worked_on_together_and_the_whole_alone(postgres_url: str) -> None:
    first, second, third = (open_engine(postgres_url) for _ in range(3))
    with (
        first.alone(lease(), "whole", 0),
        pytest.raises(EngineError, match="run-in-progress"),
        second.alone(lease(), "part", 0, "a"),
    ):
        pass
    with first.held(), second.held(), first.alone(lease(), "one", 0, "a"), second.alone(lease(), "other", 0, "b"):
        for part in ("", "a"):
            with pytest.raises(EngineError, match="run-in-progress"), third.alone(lease(), "third", 0, part):
                pass
        with first.begin(), second.begin():
            pass


def test_clearing_takes_everything_of_these_schemas(engine: PostgresEngine) -> None:
    engine.create(things(), ["room", "yard"])
    engine.clear(["room", "yard", "nowhere"])
    with engine.begin() as connection:
        assert not {"room", "yard"} & set(sa.inspect(connection).get_schema_names())


@pytest.mark.parametrize(
    "url", ["postgresql://u:hush@h/d", "postgresql://u@h/d?password=hush", "postgresql:///d?sslpassword=hush"]
)
def test_messages_never_hold_the_password(url: str) -> None:
    assert "hush" not in PostgresEngine(url).where


def test_another_shape_waits_for_no_reader_longer_than_its_patience(
    engine: PostgresEngine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes to read meanwhile would wait too."""
    engine.create(things(), ["room"])
    monkeypatch.setattr("sor_pipeline.engine.renewal.PATIENCE", "200ms")
    reader = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
    with reader.begin() as reading:
        reading.exec_driver_sql("SELECT * FROM room.thing")
        with pytest.raises(EngineError) as raised:
            engine.create(things(sa.Column("colour", sa.Text)), ["room"])
    (fault,) = raised.value.faults
    assert (fault.code, "55P03" in str(fault), "locked for too long" in str(fault)) == ("warehouse-failed", True, True)
    engine.create(things(sa.Column("colour", sa.Text)), ["room"])
