"""The demo company against its known truth: every cell, every record, every row, the fight and its end."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa

from sor_pipeline.demo.play import FIGHT, Demo
from sor_pipeline.observe import disagreements, status
from sor_pipeline.run import Run
from sor_pipeline.tables import grain
from sor_pipeline.terminal.demo import todays_round
from sor_pipeline.terminal.paper import number, read
from sor_pipeline_tests.conftest import DAYS

QUIET = DAYS + 1

ENTITIES = ("account", "contact", "deal", "employee", "subscription", "ticket", "interaction", "product_usage")


def published(home: Path, query: str) -> pl.DataFrame:
    """The published file, as an analyst reads it."""
    with duckdb.connect(str(home / "conformed.duckdb"), read_only=True) as connection:
        return pl.DataFrame(connection.execute(query).arrow())


def keys(home: Path, entity: str) -> pl.DataFrame:
    return published(home, f"SELECT source, source_key, {entity}_id AS id FROM conformed.{entity}_key")


def on_hold(run: Run, entity: str) -> dict[str, list[str]]:
    """Field -> ids whose cell keeps its last good value, as the document's severities ask."""
    held = run.tables.held
    ids: dict[str, list[str]] = {}
    for row in read(run, sa.select(held.c.entity_id, held.c.field).where(held.c.entity == entity)):
        ids.setdefault(row["field"], []).append(row["entity_id"])
    return ids


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_cell_whose_owner_spoke_is_the_truth(
    played: Path, demo_run: Run, demo_company: Demo, entity: str
) -> None:
    answer = demo_company.truth(QUIET).entities[entity]
    fields = [name for name in demo_run.ownership.entities[entity].fields if name in answer.values.columns]
    casts = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in fields)
    held = published(played, f"SELECT {entity}_id AS id, {casts} FROM conformed.{entity}")
    for name in fields:
        target = demo_run.ownership.entities[entity].fields[name].to
        if target:
            named = keys(played, target).select(
                pl.concat_str("source", pl.lit("/"), "source_key").alias("ref"), pl.col("id").alias(name)
            )
            wanted = answer.values.select("truth", ref=name).join(named, on="ref", how="left").select("truth", name)
            answer_values = answer.values.drop(name).join(wanted, on="truth", how="left")
            answer = type(answer)(answer_values, answer.owned)
    beside = (
        answer.values.join(keys(played, entity), on=["source", "source_key"], how="left")
        .join(held, on="id", how="left", suffix="__held")
        .join(answer.owned, on="truth", how="left", suffix="__owned")
    )
    assert beside["id"].null_count() == 0
    held_ids = on_hold(demo_run, entity)
    wrong = {
        name: beside.filter(pl.col(f"{name}__owned") & ~pl.col(name).eq_missing(pl.col(f"{name}__held")))
        .filter(~pl.col("id").is_in(held_ids.get(name, [])))
        .select("source_key", name, f"{name}__held")
        for name in fields
    }
    assert {name: rows.rows()[:3] for name, rows in wrong.items() if rows.height} == {}


def test_records_of_one_thing_are_one_entity_and_of_two_are_two(played: Path, demo_company: Demo) -> None:
    members = demo_company.truth(QUIET).members
    merged = split = 0
    for entity in ENTITIES:
        both = members.filter(pl.col("entity") == entity).join(
            keys(played, entity), on=["source", "source_key"], how="left"
        )
        assert both["id"].null_count() == 0, entity
        merged += both.group_by("id").agg(pl.n_unique("truth")).filter(pl.col("truth") > 1).height
        split += both.group_by("truth").agg(pl.n_unique("id")).filter(pl.col("id") > 1).height
    assert merged == 0
    # records without any shared key wait for similarity; they are few
    assert split <= 0.05 * members.height


def test_every_row_is_accounted_for(demo_run: Run) -> None:
    assert number(demo_run, status.unaccounted(demo_run.tables)) == 0


def test_bad_deliveries_are_refused_by_name_and_nothing_else_is_harmed(demo_run: Run) -> None:
    refused = {row["source"] for row in read(demo_run, status.refusals(demo_run.tables))}
    assert refused == {"aircall.contacts", "bamboohr.employees"}
    states = {row["state"] for row in read(demo_run, status.runs(demo_run.tables))}
    assert states <= {"published", "unchanged"}


def test_after_a_quiet_day_on_which_everybody_obeyed_nothing_is_left_to_correct(demo_run: Run) -> None:
    assert read(demo_run, disagreements.corrections(demo_run.tables, None)) == []


def test_the_fight_is_seen_and_the_breaker_ends_it(demo_run: Run, demo_company: Demo) -> None:
    conflict, correction = demo_run.tables.conflict, demo_run.tables.correction
    key = demo_company.fighter_key
    rounds = read(
        demo_run,
        sa.select(conflict.c.opened_in, conflict.c.closed_in).where(
            conflict.c.source == FIGHT[0], conflict.c.source_key == key, conflict.c.field == FIGHT[1]
        ),
    )
    assert rounds
    assert [row["closed_in"] for row in rounds].count(None) == 1  # nobody has decided yet
    last = todays_round(demo_run, demo_company, QUIET)
    assert (last["they"], last["our_correction"], last["undone"], last["written"]) == ("disagree", "reverted", 2, False)
    broken = read(demo_run, sa.select(demo_run.tables.broken))
    assert [(row["source"], row["source_key"], row["reverts"]) for row in broken] == [(FIGHT[0], key, 2)]
    history = json.loads(broken[0]["history"])
    assert [one["state"] for one in history] == ["reverted", "reverted"]
    assert {one["rule"] for one in history} == {"owner"}
    case = demo_run.tables.case
    cases = read(demo_run, sa.select(case.c.source_key, case.c.closed_in).where(case.c.kind == "broken"))
    assert cases == [{"source_key": key, "closed_in": None}]
    states = read(
        demo_run, sa.select(correction.c.state).where(correction.c.source == FIGHT[0], correction.c.source_key == key)
    )
    assert {row["state"] for row in states} <= {"confirmed", "superseded", "reverted"}


def test_the_grain_of_every_table_is_what_it_says(demo_run: Run) -> None:
    with demo_run.engine.begin() as connection:
        for table in demo_run.tables.metadata.sorted_tables:
            keyed = grain(table)
            assert keyed, table.name
            twice = sa.select(*keyed).group_by(*keyed).having(sa.func.count() > 1)
            assert connection.execute(twice).fetchall() == [], f"{table.schema}.{table.name}"


def test_tables_and_columns_carry_the_words_of_the_document(played: Path) -> None:
    tables = published(played, "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'conformed'")
    assert tables["comment"].null_count() == 0
    columns = published(
        played, "SELECT comment FROM duckdb_columns() WHERE database_name = 'conformed' AND table_name = 'contact'"
    )
    assert columns["comment"].null_count() == 0
