"""Similarity: relatives stay apart, slips do not, and what was delivered when changes nothing."""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import sor_pipeline
from sor_pipeline.errors import SettingsError
from sor_pipeline.identify.scores import measure, read_truth
from sor_pipeline.identify.similar.explaining import explain
from sor_pipeline.identify.similar.features import GENERATION, SEX, features
from sor_pipeline.identify.similar.learning import Patterns, learned
from sor_pipeline.identify.similar.model import in_force, train
from sor_pipeline.identify.similar.pairs import reached, write_pairs
from sor_pipeline.identify.similar.plan import Part, Plan, plan_of
from sor_pipeline.identify.work import Work
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import lint
from sor_pipeline.ownership.matching import Similar
from sor_pipeline_tests.similar_world import SIMILAR, TYPES, Person, World, document, population

SLOW = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ANN = Person(
    "a1", "Ann", "Porter", "ann.porter@mail.example", "+13155550123", "1980-05-04", "12 Mill Lane", "Salem", "01970"
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose model was learned from three hundred people."""
    world = World(tmp_path_factory.mktemp("taught"))
    world.put(population(300))
    assert train(world.run, "contact") is not None
    return world


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, taught: World) -> Iterator[World]:
    """Where most tests take place, one after another."""
    fresh = World(tmp_path_factory.mktemp("place"))
    fresh.copy_model(taught)
    with fresh.engine.held():
        yield fresh
    fresh.engine.close()


@pytest.fixture
def world(place: World) -> World:
    """An empty world with that model."""
    return place.clear()


@pytest.fixture
def untaught(place: World, taught: World) -> Iterator[World]:
    """An empty world without a model."""
    with place.clear().engine.begin() as connection:
        for table in (place.tables.model, place.tables.frequency, place.tables.decision):
            connection.execute(sa.delete(table))
    yield place
    with place.engine.begin() as connection:
        connection.execute(sa.delete(place.tables.decision))
    place.at(datetime(2026, 1, 1))
    place.copy_model(taught)


def verdict(world: World, *people: Person) -> str:
    world.clear()
    world.put(people)
    assert world.write(everything=True) == ()
    return world.verdict(people[0].at, people[1].at)


RELATIVES = {
    "twins": replace(ANN, at="b2", first_name="Beth", email="beth.p@mail.example"),
    "twins with one mailbox": replace(ANN, at="b2", first_name="Carl"),
    "spouses": replace(ANN, at="b2", first_name="Bob", birthday=None),
    "spouses without birthdays": replace(ANN, at="b2", first_name="John", birthday=None, email=None),
    "mother and daughter of one name": replace(ANN, at="b2", birthday="2004-11-23", email=None),
    "the same day a generation later": replace(ANN, at="b2", birthday="2000-05-04", email=None),
    "a household member without a name": replace(ANN, at="b2", first_name=None, birthday=None, email=None),
}


SLIPS = {
    "nothing": {},
    "nickname": {"first_name": "Annie", "email": None},
    "initial": {"first_name": "A.", "street": None},
    "names exchanged": {"first_name": "Porter", "last_name": "Ann"},
    "family name mistyped": {"last_name": "Proter", "phone": None},
    "new family name": {"last_name": "Hastings"},
    "mailbox mistyped": {"email": "ann.porter@mial.example", "phone": None},
    "phone a digit off": {"phone": "+13155550173", "email": None},
    "day and month exchanged": {"birthday": "1980-04-05", "email": None},
    "day a digit off": {"birthday": "1980-05-14", "email": None},
    "moved house": {"street": "1 Other Road", "city": "Boston", "postal_code": "02101"},
    "street abbreviated": {"street": "12 Mill Ln", "email": None, "phone": None},
    "wrong birthday, own mailbox": {"birthday": "1983-11-21"},
}


@pytest.fixture(scope="module")
def around_ann(place: World) -> dict[str, str]:
    """What becomes of Ann and everybody around her, all in one warehouse: a pair's score knows no third."""
    others = {**RELATIVES, **{name: replace(ANN, **slip) for name, slip in SLIPS.items()}}
    numbered = {name: replace(one, at=f"b{100 + n}") for n, (name, one) in enumerate(others.items())}
    place.clear()
    place.put([ANN, *numbered.values()])
    assert place.write(everything=True) == ()
    pairs = place.pairs()
    return {name: pairs.get(("a1", one.at), {}).get("verdict", "none") for name, one in numbered.items()}


@pytest.mark.parametrize("relative", RELATIVES)
def test_relatives_at_one_address_never_link(around_ann: dict[str, str], relative: str) -> None:
    assert around_ann[relative] in ("review", "none")


@pytest.mark.parametrize(
    ("one", "other"), [("Alexander", "Alexandra"), ("Mark", "Mary"), ("Tim", "Tom"), ("Jon", "Joan")]
)
def test_twins_with_names_alike_never_link(world: World, one: str, other: str) -> None:
    """Both are names that people have: that is no typing error."""
    twins = replace(ANN, first_name=one, email=None), replace(ANN, at="b2", first_name=other, email=None)
    assert verdict(world, *twins) == "review"


def test_generations_and_titles_tell_people_apart(world: World) -> None:
    senior, junior = (
        replace(ANN, first_name="John", last_name="Porter Sr."),
        replace(ANN, at="b2", first_name="John", last_name="Porter Jr"),
    )
    assert verdict(world, senior, junior) == "review"
    third = replace(ANN, at="b2", first_name="John", last_name="Porter III")
    assert verdict(world, replace(senior, last_name="Porter II"), third) == "review"
    assert verdict(world, replace(ANN, first_name="Mr. Kim"), replace(ANN, at="b2", first_name="Mrs Kim")) == "review"
    assert verdict(world, replace(ANN, first_name="Ms Kim"), replace(ANN, at="b2", first_name="Kim")) == "accept"


@pytest.mark.parametrize("slip", SLIPS)
def test_slips_do_not_keep_a_person_apart(around_ann: dict[str, str], slip: str) -> None:
    assert around_ann[slip] == "accept"


def test_a_name_alone_never_links(world: World) -> None:
    rare = Person("a1", "Xanthippe", "Quillfeather")
    assert verdict(world, rare, replace(rare, at="b1")) in ("review", "none")
    assert verdict(world, replace(rare, city="Salem"), replace(rare, at="b1", city="Salem")) in ("review", "none")


def test_addresses_made_of_one_name_are_no_second_evidence(world: World) -> None:
    """alex.johnson189 and alex.johnson336 are two people of one name; so are two John Smiths with a mailbox each."""
    one = Person("a1", "John", "Smith", "john.smith189@mail.example", city="Salem")
    assert verdict(world, one, replace(one, at="b1", email="john.smith336@mail.example")) in ("review", "none")
    assert verdict(
        world, replace(one, email="john.smith@a.example"), replace(one, at="b1", email="john.smith@b.example")
    ) in ("review", "none")


def test_records_of_a_source_with_one_per_entity_are_never_paired(place: World) -> None:
    fresh = place.clear(document(unique=("a",)))
    fresh.put([ANN, replace(ANN, at="a2"), replace(ANN, at="b1"), replace(ANN, at="b2")])
    fresh.write(everything=True)
    assert set(fresh.pairs()) == {("a1", "b1"), ("a1", "b2"), ("a2", "b1"), ("a2", "b2"), ("b1", "b2")}


def test_a_disguised_null_brings_nobody_together(world: World) -> None:
    """A number, a day, a street and a code that thousands share cost no quadratic work, and make no pair."""
    crowd = [
        replace(
            one,
            at=f"a{n}",
            phone="+13155550100",
            birthday="1970-01-01",
            street="1 Unknown Street",
            city="Salem",
            postal_code="00001",
            last_name=hashlib.md5(str(n).encode()).hexdigest(),
        )
        for n, one in enumerate(population(1500, seed=9))
    ]
    world.put(crowd)
    began = time.monotonic()
    world.write(everything=True)
    assert time.monotonic() - began < 30
    doubles = {(f"a{n}", f"a{n + 1}") for n in range(len(crowd))}
    assert {pair for pair, row in world.pairs().items() if row["verdict"] == "accept"} <= doubles


def test_role_mailboxes_say_nothing(world: World) -> None:
    one = Person("a1", "Ann", "Porter", "info@mail.example", city="Salem")
    world.put([one, replace(one, at="b1", first_name="Bert")])
    world.write(everything=True)
    assert world.pairs() == {}


# ------------------------------------------------------------------------------- what was delivered when


_SOME = st.sampled_from
_PEOPLE = st.builds(
    Person, at=_SOME([f"{s}{n}" for s in "ab" for n in range(5)]), first_name=_SOME(["Ann", "Annie", "Bob", None]),
    last_name=_SOME(["Porter", "Proter"]), email=_SOME(["ann@mail.example", "bob@mail.example", None]),
    phone=_SOME(["+13155550123", "+13155550124", None]), birthday=_SOME(["1980-05-04", "1980-04-05", None]),
    street=_SOME(["12 Mill Lane", None]), postal_code=_SOME(["01970", None]), deleted=_SOME([False, False, False, True]),
)  # fmt: skip
_BATCHES = st.lists(st.lists(_PEOPLE, min_size=1, max_size=6, unique_by=lambda one: one.at), min_size=2, max_size=3)


@SLOW
@given(batches=_BATCHES)
def test_an_increment_gives_what_a_full_run_gives(place: World, batches: list[list[Person]]) -> None:
    """Three holders at most: values cross their limit upwards and downwards all the time."""
    world = place.clear(document({**SIMILAR, "max_records": 3}))
    world.write(everything=True)
    for batch in batches:
        before = world.pairs()
        world.put(batch)
        with world.engine.begin() as connection:
            work = Work(world.run, connection, "contact", world.run.pending(connection))
            write_pairs(work, everything=False)
            touched = {row.source[0] + row.source_key for row in connection.execute(sa.select(reached(work)))}
        step = world.pairs()
        differing = {pair for pair in before.keys() | step.keys() if before.get(pair) != step.get(pair)}
        assert touched == {end for pair in differing for end in pair}
        world.write(everything=True)
        assert world.pairs() == step
        world.publish()


@SLOW
@given(people=st.lists(_PEOPLE, min_size=2, max_size=10, unique_by=lambda one: one.at), data=st.data())
def test_a_pair_scores_the_same_whoever_else_is_there(place: World, people: list[Person], data: st.DataObject) -> None:
    world = place.clear(document({**SIMILAR, "max_records": 1000}))
    world.put(people)
    world.write(everything=True)
    crowd = world.pairs()
    some = set(data.draw(st.lists(_SOME([one.at for one in people]), unique=True)))
    world.put([replace(one, deleted=True) for one in people if one.at not in some])
    world.write(everything=True)
    assert world.pairs() == {pair: row for pair, row in crowd.items() if set(pair) <= some}


def test_the_same_records_teach_the_same_in_any_order(untaught: World, taught: World) -> None:
    people = population(300)
    np.random.default_rng(1).shuffle(people)  # type: ignore[arg-type]
    other = untaught
    other.put(people[:200])
    other.publish()
    other.put([*people[200:], Person("a99999", "Gone", deleted=True)])
    again = train(other.run, "contact")
    with taught.engine.begin() as connection:
        model = in_force(connection, taught.tables, "contact")
    assert again is not None
    assert model is not None
    assert again.fingerprint == model.fingerprint


# --------------------------------------------------------------------------------------------- models


def test_without_a_model_nobody_links_and_the_warning_says_what_to_run(untaught: World, taught: World) -> None:
    world = untaught
    world.put([ANN, replace(ANN, at="b1")])
    with world.engine.begin() as connection:
        faults = write_pairs(Work(world.run, connection, "contact", 1), True)
    assert [(fault.code, fault.warning) for fault in faults] == [("no-model", True)]
    assert "sor match train contact" in faults[0].todo
    assert world.pairs() == {}
    world.copy_model(taught)
    assert world.write(everything=True) == ()
    assert set(world.pairs()) == {("a1", "b1")}
    world.use(document({"similar": ["first_name", "last_name", "email"]}))
    assert world.write(everything=True) == ("no-model",)
    assert world.pairs() == {}
    world.use(document({**SIMILAR, "accept": 0.99, "review": 0.5, "block": [["email"], ["last_name", "birthday"]]}))
    assert world.write(everything=True) == (), "thresholds and blocking are not what a model is about"
    assert set(world.pairs()) == {("a1", "b1")}
    world.use(document({}))
    assert world.write(everything=False) == ()
    assert world.pairs() == {}


@pytest.mark.parametrize("size", [0, 1, 2, 12])
def test_little_data_teaches_little_and_harms_nobody(untaught: World, size: int) -> None:
    world = untaught
    world.put(population(size) if size != 2 else [ANN, replace(ANN, at="b1")])
    told = train(world.run, "contact")
    assert told is not None
    assert told.few
    double, namesake = replace(ANN, at="b7001"), Person("b7002", "Ann", "Porter")
    world.put([replace(ANN, at="a7000"), double, namesake])
    world.write(everything=True)
    assert world.verdict("a7000", "b7001") == "accept"
    assert world.verdict("a7000", "b7002") != "accept"


def test_training_is_a_visible_act_and_the_newest_model_rules(untaught: World) -> None:
    world = untaught
    world.put(population(40))
    first = train(world.run, "contact")
    again = train(world.run, "contact")
    assert first is not None
    assert again is not None
    assert again.fingerprint == first.fingerprint
    world.put(population(60, seed=8))
    world.at(datetime(2026, 1, 2))
    second = train(world.run, "contact")
    assert second is not None
    assert second.fingerprint != first.fingerprint
    with world.engine.begin() as connection:
        model = in_force(connection, world.tables, "contact")
        rows = connection.execute(sa.select(world.tables.model.c.fingerprint)).fetchall()
        left = connection.execute(sa.select(world.tables.frequency.c.fingerprint).distinct()).fetchall()
    assert model is not None
    assert model.fingerprint == second.fingerprint
    assert {row[0] for row in rows} == {first.fingerprint, second.fingerprint}
    assert [row[0] for row in left] == [second.fingerprint]


def test_decisions_are_labels(untaught: World) -> None:
    """Withdrawn ones are not; the newest on a pair rules."""
    world = untaught
    people = population(40)
    world.put(people)
    without = train(world.run, "contact")
    ends = {"left_source": "a.people", "right_source": "b.people", "entity": "contact"}
    decisions = [
        {"decision": n, "kind": "link", "left_key": str(n), "right_key": str(n + 3), "withdraws": None, **ends}
        for n in (1, 2, 4, 5, 7, 8, 10)
    ]
    decisions.append({"decision": 20, "kind": "unlink", "left_key": "1", "right_key": "4", "withdraws": None, **ends})
    decisions.append({"decision": 21, "kind": "withdraw", "left_key": None, "right_key": None, "withdraws": 2, **ends})
    with world.engine.begin() as connection:
        connection.execute(sa.insert(world.tables.decision), decisions)
    told = train(world.run, "contact")
    assert without is not None
    assert told is not None
    assert (without.labels, told.labels) == (0, 6)
    assert told.weights["email"]["different"] > without.weights["email"]["different"], "people said that these are one"


def test_learning_finds_what_made_the_pairs() -> None:
    """Patterns drawn from known shares give these shares back."""
    rng = np.random.default_rng(3)
    plan = plan_of(document({"similar": ["email", "phone", "city"]}).entities["contact"])
    assert plan is not None
    from sor_pipeline.identify.similar.comparing import comparisons

    said = comparisons(plan)
    true_m = [np.array([0.7, 0.1, 0.05, 0.15]), np.array([0.6, 0.1, 0.1, 0.2]), np.array([0.8, 0.1, 0.1])]
    true_u = [
        np.array([0.001, 0.001, 0.001, 0.997]),
        np.array([0.001, 0.001, 0.001, 0.997]),
        np.array([0.1, 0.02, 0.88]),
    ]
    size = 6000
    same = rng.random(size) < 0.4
    level = np.stack(
        [
            np.where(same, rng.choice(m.size, size, p=m), rng.choice(u.size, size, p=u))
            for m, u in zip(true_m, true_u, strict=True)
        ],
        1,
    )
    patterns = Patterns(level, np.zeros(size, np.int64), np.full(size, -1), np.ones(size), np.ones(size))
    random = {one.name: list(map(float, u)) for one, u in zip(said, true_u, strict=True)}
    found = learned(said, patterns, np.zeros((1, 3), bool), random, 1e6, 1000)
    for its, m in zip(found.m, true_m, strict=True):
        assert np.abs(its - m).max() < 0.05
    assert 0.8 < found.matches / same.sum() < 1.2


# ---------------------------------------------------------------------------------- one pair explained


def test_an_explanation_adds_up_and_keeps_personal_values_to_itself(taught: World, world: World) -> None:
    other = replace(ANN, at="b2", first_name="Annie", phone=None)
    assert verdict(world, ANN, other) == "accept"
    with world.engine.begin() as connection:
        told = explain(world.run, connection, "contact", ("b.people", "2"), ("a.people", "1"))
        nobody = explain(world.run, connection, "contact", ("a.people", "1"), ("a.people", "404"))
    assert nobody is None
    assert told is not None
    row = world.pairs()["a1", "b2"]
    assert told.weight == pytest.approx(row["weight"], abs=1e-5)
    assert told.prior + sum(line.weight for line in told.lines) == pytest.approx(told.weight, abs=1e-5)
    assert {line.name: line.level for line in told.lines} == json.loads(row["levels"])
    assert (told.verdict, told.veto) == ("accept", None)
    assert "first name: nickname" in str(told.lines[0])
    for secret in ("porter", "annie"):
        assert secret not in json.dumps(told.chart).lower()
    assert "12 mill ln" in json.dumps(told.chart)
    assert told.page.startswith("<!DOCTYPE html>")


# ---------------------------------------------------------------------------------------- each record


def featured(kind: str, *texts: str | None, **more: str) -> pl.DataFrame:
    part = Part("x", kind, ("f",), (more.get("place", kind),))
    raw = pl.DataFrame({"f__raw": list(texts)}, schema={"f__raw": pl.String})
    return features(raw, Plan((part,), ()))


def test_companies_without_their_legal_forms() -> None:
    names = [
        "acme inc",
        "acme, inc.",
        "acme gmbh & co. kg",
        "the acme company",
        "acme s.a.",
        "acme sp. z o.o.",
        "acme pty ltd",
        "acme l.l.c.",
    ]
    assert set(featured("company", *names)["x__core"]) == {"acme"}
    assert featured("company", "co", "inc", "gmbh", "the limited", "a & b", None)["x__core"].to_list() == [
        "co", "inc", "gmbh", "limited", "a und b", None,
    ]  # fmt: skip
    assert featured("company", "north star co", "star north")["x__sorted"].n_unique() == 1


def test_people_without_their_titles() -> None:
    frame = featured("given", "mr. john", "Dr Mary".lower(), "john", "mr", None, "j.")
    assert frame["x__v"].to_list() == ["john", "mary", "john", "mr", None, "j"]
    assert frame[SEX].to_list() == ["m", None, None, None, None, None]
    assert featured("family", "porter jr.", "porter, iii", "jr")["x__v"].to_list() == ["porter", "porter", "jr"]
    assert featured("family", "porter jr.", "porter, iii", "porter sr")[GENERATION].to_list() == ["jr", "3", "sr"]
    assert featured("person", "porter, ann", "ann porter")["x__v"].n_unique() == 1


def test_streets_in_their_short_forms() -> None:
    streets = ["12 Mill Lane", "12 mill ln.", "12  MILL LANE"]
    frame = featured("address", *streets, place="street")
    assert set(frame["x__street"]) == {"12 mill ln"}
    assert set(frame["x__number"]) == {"12"}


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(st.one_of(st.none(), st.text(max_size=12)), min_size=1, max_size=5))
def test_any_text_gives_features_or_none(texts: list[str | None]) -> None:
    """Each record by itself: no text changes another's, and none breaks them."""
    for kind in (
        "given",
        "family",
        "person",
        "company",
        "email",
        "phone",
        "address",
        "text",
        "domain",
        "number",
        "date",
    ):
        whole = featured(kind, *texts, place="street" if kind == "address" else kind)
        for row, text in enumerate(texts):
            alone = featured(kind, text, place="street" if kind == "address" else kind)
            assert whole[row].rows() == alone.rows()


# ---------------------------------------------------------------------------------------- the document


def test_what_the_document_may_say() -> None:
    rule = Similar.model_validate(
        {"similar": ["email", {"address": ["street", "city"], "last_name": {"as": "family"}}]}
    )
    assert [(name, listed) for name, listed, _ in rule.items()] == [
        ("email", None), ("address", ("street", "city")), ("last_name", None),
    ]  # fmt: skip
    with pytest.raises(ValidationError, match="review"):
        Similar.model_validate({"similar": ["email"], "review": 0.95, "accept": 0.95})


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        (SIMILAR, set()),
        ({"similar": ["email", "nope"]}, {"unknown-field", "thin-similarity"}),
        ({"similar": ["email", "phone", "email"]}, {"compared-twice"}),
        ({"similar": ["email", "phone", {"address": ["email"]}]}, {"compared-twice"}),
        ({"similar": ["email", "phone", {"city": ["street"]}]}, {"compared-twice"}),
        ({"similar": ["email"]}, {"thin-similarity"}),
        ({"similar": ["email", "phone"], "block": [["city"]]}, {"block-not-compared"}),
    ],
)
def test_faults_of_a_similarity_rule(rule: dict[str, object], codes: set[str]) -> None:
    assert {fault.code for fault in lint(document(rule))} == codes


def test_what_cannot_be_compared_is_refused() -> None:
    spec = document().model_dump(by_alias=True)
    spec["entities"]["contact"]["fields"]["seen"] = {"type": "timestamp"}
    spec["sources"]["a.people"]["fields"]["seen"] = "seen"
    spec["entities"]["contact"]["match"] = [{"similar": ["email", "phone", "seen"]}, {"similar": ["email", "phone"]}]
    assert {fault.code for fault in lint(Ownership.model_validate(spec))} >= {"not-comparable", "two-similar-rules"}


def test_splink_is_known_to_one_file() -> None:
    package = Path(sor_pipeline.__file__).parent
    users = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "splink" for name in names):
                users.add(path.relative_to(package).as_posix())
    assert users == {"identify/similar/backend.py"}


# -------------------------------------------------------------------------------------------- measuring


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=10))
def test_scores_count_what_counting_pairs_counts(world: World, labels: list[tuple[int, int]]) -> None:
    world.put([Person(f"a{n}") for n in range(len(labels))] + [Person("a90", deleted=True)])
    known, keys = world.tables.identity["contact"], [*range(len(labels)), 90]
    ids = [*(f"e{ours}" for _, ours in labels), "e0"]
    with world.engine.begin() as connection:
        connection.execute(sa.delete(known))
        rows = [
            {"source": "a.people", "source_key": str(key), "entity_id": entity}
            for key, entity in zip(keys, ids, strict=True)
        ]
        connection.execute(sa.insert(known), rows)
        truth = pl.DataFrame(
            {
                "source": "a.people",
                "key": [str(key) for key in keys],
                "cluster": [str(theirs) for theirs, _ in [*labels, (0, 0)]],
            }
        )
        scores = measure(world.run, connection, "contact", truth.to_arrow())
    pairs = list(combinations(labels, 2))
    found = sum(one[1] == other[1] for one, other in pairs)
    true = sum(one[0] == other[0] for one, other in pairs)
    assert (scores.records, scores.unknown) == (len(labels), 1)
    assert (scores.true, scores.found, scores.right) == (true, found, sum(one == other for one, other in pairs))
    theirs = {frozenset(n for n, one in enumerate(labels) if one[0] == label) for label, _ in labels}
    ours = {frozenset(n for n, one in enumerate(labels) if one[1] == label) for _, label in labels}
    assert (scores.clusters, scores.exact) == (len(theirs), len(theirs & ours))
    assert scores.over_merged == sum(len({labels[n][0] for n in cluster}) > 1 for cluster in ours)


def test_a_truth_file_is_read_or_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("source,source_key,entity\na.people,007,x\n", encoding="utf-8")
    assert read_truth(file).to_pylist() == [{"source": "a.people", "key": "007", "cluster": "x"}]
    pl.read_csv(file, infer_schema=False).write_parquet(tmp_path / "truth.parquet")
    assert read_truth(tmp_path / "truth.parquet").num_rows == 1
    file.write_text("source,cluster\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="truth-columns"):
        read_truth(file)
    with pytest.raises(SettingsError, match="truth-missing"):
        read_truth(tmp_path / "nothing.csv")


def test_every_type_of_the_sample_document_is_compared() -> None:
    plan = plan_of(document().entities["contact"])
    assert plan is not None
    assert [part.kind for part in plan.parts] == ["given", "family", "email", "phone", "date", "address"]
    assert set(plan.fields) == set(TYPES)
