"""As of a past day: what a file says that is made from the history alone is what was published then."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sor_pipeline.errors import NeverPublished
from sor_pipeline.observe import asof
from sor_pipeline.publish.step import run as publish
from sor_pipeline.run import Run
from sor_pipeline_tests.published_world import DAY_ONE, State, cell, hands, on_day, put
from sor_pipeline_tests.test_cli import sor

PUBLICATIONS, ASKED = 24, 20
ENTITIES = ("account", "contact")
IDS = {"contact": ("a1", "b2", "c3", "d4"), "account": ("k1", "k2")}
VALUES: dict[str, list[Any]] = {
    "email": ["ann@a.test", "bob@b.test", None],
    "name": ["Ann", "ann", "O'Neil %s", "Ünal — 名"],
    "opted_in": [True, False, None],
    "mrr": [Decimal("1.50"), Decimal("-0.01"), None],
    "born": [date(1999, 12, 31), None],
    "seen": [datetime(2026, 1, 2, 3, 4, 5, 120000)],
    "account": ["k1", "k2", None],
    "title": ["North", "South", None],
}
FIELDS = {"contact": [name for name in VALUES if name != "title"], "account": ["title"]}


@dataclass(frozen=True)
class Past:
    """A company's publications: for each number its time, and a copy of the file as it was then."""

    run: Run
    at: dict[int, datetime]
    files: dict[int, Path]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Entities come, change, go and come back; now and then two publications have the same time."""
    folder, dice = tmp_path_factory.mktemp("asof"), random.Random(11)
    run = hands(folder / "home")
    past = Past(run, {}, {})
    with run.engine.held():
        _play(past, dice, folder)
    return past


def _play(past: Past, dice: random.Random, folder: Path) -> None:
    run, rows, day = past.run, {}, 0
    while len(past.at) < PUBLICATIONS:
        day += dice.choice((0, 1, 1, 2, 5))
        everyone = [(entity, i) for entity, ids in IDS.items() for i in ids]
        for entity, i in dice.sample(everyone, 2):
            if dice.random() < 0.3:
                rows.pop((entity, i), None)
            else:
                rows[entity, i] = {name: cell(dice.choice(VALUES[name]), day=day) for name in FIELDS[entity]}
        put(on_day(run, day), State(rows=dict(rows)), everyone)
        if publish(on_day(run, day), "").counts["published"]:
            number = len(past.at) + 1
            past.at[number] = DAY_ONE + timedelta(days=day)
            past.files[number] = Path(shutil.copy(run.settings.conformed, folder / f"{number}.duckdb"))


def meant(past: Past, asked: str) -> int:
    with past.run.engine.begin() as connection:
        return asof.meant(past.run, connection, asked).publication


def said(file: Path, with_comments: bool = True) -> dict[str, Any]:
    """Rows, column types and comments of each entity's table."""
    answer: dict[str, Any] = {}
    with duckdb.connect(str(file), read_only=True) as reader:
        for entity in ENTITIES:
            answer[entity] = sorted(reader.execute(f"SELECT * FROM {entity}").fetchall(), key=str)
        query = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE table_name IN ('account', 'contact') ORDER BY ALL"
        answer["columns"] = reader.execute(query).fetchall()
        query = (
            "SELECT table_name, comment FROM duckdb_tables() WHERE table_name IN ('account', 'contact') ORDER BY ALL"
        )
        answer["tables"] = reader.execute(query).fetchall()
    return answer


def test_twenty_past_publications_are_rebuilt_as_they_were(past: Past, tmp_path: Path) -> None:
    for number in sorted(random.Random(3).sample(sorted(past.at), ASKED)):
        found, file = asof.write(past.run, str(number), tmp_path / f"{number}.duckdb")
        assert (found.publication, found.published_at) == (number, past.at[number])
        assert said(file) == said(past.files[number]), number
        with duckdb.connect(str(file), read_only=True) as reader:
            assert reader.execute("SELECT max(publication), count(*) FROM publication").fetchone() == (number, number)


def test_a_day_means_its_end_and_a_timestamp_its_instant(past: Past) -> None:
    by_day: dict[date, int] = {}
    for number, at in past.at.items():
        by_day[at.date()] = number
    assert len(by_day) < len(past.at), "two publications of one time are part of this test"
    for day, last in by_day.items():
        assert meant(past, day.isoformat()) == last
        at = datetime.combine(day, past.at[last].time())
        assert meant(past, at.isoformat()) == last
        assert meant(past, at.isoformat() + "+00:00") == last
        later_zone = (at + timedelta(hours=2)).isoformat() + "+02:00"
        assert meant(past, later_zone) == last
        if last > 1 and day != min(by_day):
            before = (at - timedelta(seconds=1)).isoformat(sep=" ")
            assert meant(past, before) < last


def test_the_one_line_query_says_the_same(past: Past) -> None:
    for number in sorted(past.at):
        if past.at.get(number + 1) == past.at[number]:
            continue  # of two publications at one time the later one is what was known then
        lines = {entity: asof.line(past.run, entity, past.at[number]) for entity in ENTITIES}
        with duckdb.connect(str(past.run.settings.conformed), read_only=True) as reader:
            for entity, line in lines.items():
                assert "\n" not in line
                names = ", ".join(f'"{column.name}"' for column in past.run.tables.conformed[entity].columns)
                rows = reader.execute(f"SELECT {names} FROM ({line})").fetchall()
                with duckdb.connect(str(past.files[number]), read_only=True) as then:
                    assert sorted(rows, key=str) == sorted(then.execute(f"SELECT * FROM {entity}").fetchall(), key=str)


@pytest.mark.parametrize("asked", ["0", "25", "999999999999999999999999", "2026-02-28", "2026-03-01T05:59:59"])
def test_what_was_never_published_is_refused_with_what_there_is(past: Past, asked: str, tmp_path: Path) -> None:
    with pytest.raises(NeverPublished) as refused:
        asof.write(past.run, asked, tmp_path / "x.duckdb")
    assert not (tmp_path / "x.duckdb").exists()
    if len(asked) < 20:
        assert f"from publication 1 of {past.at[1]:%Y-%m-%d %H:%M} UTC to 24 of" in str(refused.value)


@pytest.mark.parametrize(
    "asked", ["", "yesterday", "2026-13-01", "2026-03", "-1", "٣", "9999-12-31", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_date_is_refused_as_such(past: Past, asked: str, tmp_path: Path) -> None:
    with pytest.raises(NeverPublished) as refused:
        asof.write(past.run, asked, tmp_path / "x.duckdb")
    assert refused.value.faults[0].code == "as-of-date"


def test_the_default_file_is_named_after_what_was_asked_and_stays_in_its_folder(past: Past) -> None:
    folder = past.run.settings.home / "as-of"
    for asked, name in (
        ("3", "publication-3"),
        ("2026-03-20", "2026-03-20"),
        ("2026-03-20/10:30", "2026-03-20T103000"),
    ):
        _, file = asof.write(past.run, asked)
        assert file == folder / f"{name}.duckdb"
    assert sorted(path.name for path in folder.iterdir()) == [
        "2026-03-20.duckdb",
        "2026-03-20T103000.duckdb",
        "publication-3.duckdb",
    ]


def test_a_file_that_is_there_is_replaced_whole(past: Past, tmp_path: Path) -> None:
    file = tmp_path / "x.duckdb"
    asof.write(past.run, "2", file)
    with duckdb.connect(str(file), read_only=True) as reader:
        asof.write(past.run, "9", file)
        assert reader.execute("SELECT max(publication) FROM publication").fetchone() == (2,), (
            "who reads keeps the old one"
        )
    assert said(file) == said(past.files[9])
    assert [path.name for path in tmp_path.iterdir()] == ["x.duckdb"]


def test_nothing_published_yet(tmp_path: Path) -> None:
    run = hands(tmp_path / "home")
    with pytest.raises(NeverPublished, match="nothing is published yet"):
        asof.write(run, "2026-03-01")


def test_the_command(played: Path, tmp_path: Path) -> None:
    answer = sor("--home", played, "as-of", "2026-03-02", "--output", tmp_path / "then.duckdb", "--json")
    assert answer.code == 0, answer.err
    assert answer.data["publication"] == 2
    with duckdb.connect(str(tmp_path / "then.duckdb"), read_only=True) as then:
        rows = then.execute("SELECT count(*) FROM contact").fetchone()
    with duckdb.connect(str(played / "conformed.duckdb"), read_only=True) as now:
        query = "SELECT count(*) FROM conformed.contact_history WHERE from_publication <= 2 AND coalesce(to_publication, 99) > 2"
        assert now.execute(query).fetchone() == rows
        now.execute(answer.data["query"])
    refused = sor("--home", played, "as-of", "2020-01-01")
    assert refused.code == 1
    assert "nothing was published by then" in refused.err
