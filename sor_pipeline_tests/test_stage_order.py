"""Any order of arrival, any split into runs, gives the same staged records: those of a plain model of the fold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline_tests.stage_world import World, day, document

EXAMPLES = 8
KEYS = ("1", "2", "3", "4", "5", "6")
READ: dict[str, dict[str, tuple[object, object]]] = {
    "name": {"Ann": ("Ann", "ann"), " ANN": ("ANN", "ann"), "Bob": ("Bob", "bob"), "Bób": ("Bób", "bob")},
    "note": {"x": ("x", "x"), "y": ("y", "y")},
    "mrr": {
        "1": (Decimal("1.00"), Decimal("1.00")),
        "1.0": (Decimal("1.00"), Decimal("1.00")),
        "2": (Decimal("2.00"), Decimal("2.00")),
    },
}
BLANKS, NOTHING = ("", " ", None), ("N/A",)
TIMES = {"2026-02-28": datetime(2026, 2, 28), "2026-03-02": datetime(2026, 3, 2), "2026-03-02T06:00:00Z": day(2)}
FLAGS = {"true": True, "": False}
FOLDED = {"name": True, "note": True, "mrr": False}


@dataclass(frozen=True)
class Delivery:
    """One batch: `columns` that it has, rows of texts by key."""

    as_of: datetime
    tag: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str | None], ...]


@dataclass
class Model:
    """One record as the fold leaves it: field -> (state, value, comparable form), and since when."""

    claims: dict[str, tuple[int, object, object]]
    since: dict[str, datetime]
    had: dict[str, bool]
    changed_at: datetime | None = None
    as_of: datetime | None = None
    deleted_at: datetime | None = None
    digest: object = None


def claim_of(field: str, text: str | None, *, had: bool) -> tuple[int, object, object] | None:
    if text in BLANKS:
        if field == "note":
            return None
        return (2, None, None) if had else (0, None, None)
    if text in NOTHING:
        return (3, None, None)
    return (1, *READ[field][text]) if text in READ[field] else None


def modelled(deliveries: list[Delivery], mode: str) -> dict[str, Model]:
    observed: dict[str, list[tuple[Any, ...]]] = {}
    for delivery in deliveries:
        for number, row in enumerate(delivery.rows, 1):
            at = TIMES.get(row.get("t") or "", delivery.as_of)
            batch = f"{delivery.as_of:%Y%m%dT%H%M%S}-{delivery.tag:0>12}"
            observed.setdefault(str(row["id"]), []).append((at, delivery.as_of, batch, number, delivery, row))
    records = {key: fold(rows, mode) for key, rows in observed.items()}
    if mode == "snapshot":
        snapshots = sorted({delivery.as_of for delivery in deliveries})
        for key, record in records.items():
            last = max(as_of for _, as_of, *_ in observed[key])
            record.deleted_at = next((as_of for as_of in snapshots if as_of > last), None)
    return records


def fold(rows: list[tuple[Any, ...]], mode: str) -> Model:
    fields = tuple(READ)
    model = Model(dict.fromkeys(fields, (0, None, None)), {}, dict.fromkeys(fields, False))
    for at, as_of, _, _, delivery, row in sorted(rows, key=lambda row: row[:4]):
        texts = tuple((row.get(c) or "") if c in delivery.columns else None for c in (*fields, "t"))
        digest = (texts, row.get("gone") or "")
        if digest == model.digest:
            continue
        model.digest, model.changed_at, model.as_of = digest, at, as_of
        flagged = mode == "changes" and FLAGS.get(row.get("gone") or "", False)
        model.deleted_at = (model.deleted_at or at) if flagged else None
        for field in fields:
            said = claim_of(field, row.get(field), had=model.had[field]) if field in delivery.columns else None
            if flagged and said is not None and row.get(field) in BLANKS:
                said = None
            model.since.setdefault(field, at)
            if said is None:
                continue
            old = model.claims[field]
            if (said[0], said[2]) != (old[0], old[2]):
                model.since[field] = at
            model.claims[field] = said
            model.had[field] |= said[0] == 1
    return model


def staged(world: World) -> dict[str, Model]:
    found = {}
    for row in world.rows():
        claims = {f: (row[f"{f}__state"], row[f], row[f"{f}__cmp"] if FOLDED[f] else row[f]) for f in READ}
        since = {f: row[f"{f}__since"] for f in READ}
        found[row["_key"]] = Model(claims, since, {}, row["_changed_at"], row["_as_of"], row["_deleted_at"])
    return found


def visible(records: dict[str, Model]) -> dict[str, object]:
    return {key: (r.claims, r.since, r.changed_at, r.as_of, r.deleted_at) for key, r in records.items()}


def cells(field: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([*READ[field], *READ[field], *BLANKS, *NOTHING, "\x01" if field != "mrr" else "much"])


@st.composite
def deliveries(draw: st.DrawFn) -> list[Delivery]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        columns = draw(
            st.sampled_from([("id", "name", "note", "mrr", "t", "gone")] * 3 + [("id", "name", "note", "t", "gone")])
        )
        row = st.fixed_dictionaries(
            {
                "id": st.sampled_from(KEYS),
                "name": cells("name"),
                "note": cells("note"),
                "mrr": cells("mrr"),
                "t": st.sampled_from([*TIMES, "", "soon"]),
                "gone": st.sampled_from([*FLAGS, ""]),
            }
        )
        as_of = day(draw(st.integers(1, 3)))
        made.append(Delivery(as_of, str(number), columns, tuple(draw(st.lists(row, max_size=14)))))
    return made


def land(world: World, delivery: Delivery) -> str:
    return world.land(delivery.as_of, delivery.rows, columns=delivery.columns, tag=delivery.tag)


def balanced(world: World) -> bool:
    return all(
        row["read"] == row["new"] + row["unchanged"] + row["superseded"] + row["duplicate"] + row["rejected"]
        for row in world.rows(world.tables.account)
    )


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], World]:
    found = {}
    for mode in ("snapshot", "changes", "events"):
        for timed in (False, True):
            extra = {"deleted": "gone"} if mode == "changes" else {}
            spec = document(
                mode,
                fields={
                    "name": {"type": "name"},
                    "note": {"type": "text", "blank": "ignored"},
                    "mrr": {"type": "decimal"},
                },
                extract={"max_shrink": 1.0, **extra},
                changed_at="t" if timed else None,
            )
            found[mode, timed] = World(tmp_path_factory.mktemp(mode), spec)
    return found


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(deliveries(), st.data(), st.sampled_from(["snapshot", "changes", "changes", "events"]), st.booleans())
def test_any_order_and_split(
    worlds: dict[tuple[str, bool], World], made: list[Delivery], data: st.DataObject, mode: str, timed: bool
) -> None:
    world = worlds[mode, timed]
    world.reset()
    for delivery in data.draw(st.permutations(made)):
        land(world, delivery)
        if data.draw(st.booleans()):
            world.stage()
            assert balanced(world)
    world.stage()
    untimed = [made_ if timed else without_times(made_) for made_ in made]
    assert visible(staged(world)) == visible(modelled(untimed, mode))
    assert balanced(world)
    before = world.rows()
    world.stage()
    assert world.rows() == before


def without_times(delivery: Delivery) -> Delivery:
    rows = tuple({name: text for name, text in row.items() if name != "t"} for row in delivery.rows)
    return Delivery(delivery.as_of, delivery.tag, tuple(name for name in delivery.columns if name != "t"), rows)
