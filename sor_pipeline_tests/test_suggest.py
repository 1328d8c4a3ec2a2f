"""`sor suggest`: evidence that can be checked by hand, a proposal that few comparisons cannot buy, and nothing written."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sor_pipeline.errors import SettingsError
from sor_pipeline.flow import opened, reading
from sor_pipeline.observe.suggest.asked import corrected, fought_over, said
from sor_pipeline.observe.suggest.proposal import ENOUGH, Witness, interval, propose, witnesses
from sor_pipeline.terminal.paper import read
from sor_pipeline_tests.flow_world import Site
from sor_pipeline_tests.test_cli import sor
from sor_pipeline_tests.test_regressions import document, rows, source

DAY = datetime(2026, 3, 1)
THREE = document(
    {
        "account": {"owner": "crm", "fields": {"name": {}}},
        "contact": {
            "owner": "crm", "match": [{"same": ["email"]}],
            "fields": {"email": {"type": "email"}, "city": {}, "account": {"type": "ref", "to": "account"}},
        },
    },
    {
        "crm.accounts": source("account", "companies", "name"),
        "desk.organizations": source("account", "organizations", "name"),
        "crm.contacts": source("contact", "crm", "email", "city", "account", accepts=["city"]),
        "desk.users": source("contact", "desk", "email", "city", "account"),
        "mail.members": source("contact", "mail", "email", "city"),
    },
)  # fmt: skip
PEOPLE = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The desk and the mail tool agree on all cities but the last ten; the CRM, which owns them, on a third."""
    site = Site(tmp_path_factory.mktemp("suggest"), THREE)
    site.put("companies", 0, *rows("id,name", "p,Acme", "q,Beta"))
    site.put("organizations", 0, *rows("id,name", "1,Acme", "2,Beta"))
    people = range(PEOPLE)
    site.put(
        "crm",
        0,
        *rows("id,email,city,account", *(f"{n},u{n}@x.example,{'Rome' if n % 3 else 'Bonn'},p" for n in people)),
    )
    site.put(
        "desk",
        0,
        *rows("id,email,city,account", *(f"d{n},u{n}@x.example,{'BONN' if n < 50 else 'Paris'},1" for n in people)),
    )
    site.put("mail", 0, *rows("id,email,city", *(f"m{n},u{n}@x.example,{'Bonn' if n % 2 else ''}" for n in people)))
    site.run(0)
    return site


def known(site: Site, entity: str, field: str) -> dict[str, Witness]:
    with reading(site.document, site.settings) as run:
        found = witnesses(read(run, said(run.tables, entity, field)), read(run, corrected(run.tables, entity, field)))
    return {one.system: one for one in found}


def test_the_evidence_is_what_one_counts_by_hand(site: Site) -> None:
    told = known(site, "contact", "city")
    # compared: three systems speak (odd numbers), and two of them agree: all odd n below 50, and of the others
    # those where the CRM says Bonn too
    odd = [n for n in range(PEOPLE) if n % 2]
    compared = [n for n in odd if n < 50 or n % 3 == 0]
    assert {name: (one.records, one.filled, one.compared) for name, one in told.items()} == {
        "crm": (60, 60, len(compared)), "desk": (60, 60, len(compared)), "mail": (60, 30, len(compared)),
    }  # fmt: skip
    assert told["mail"].agrees == len(compared)
    assert told["desk"].agrees == len([n for n in compared if n < 50])
    assert told["crm"].agrees == len([n for n in compared if n % 3 == 0])


def test_references_are_compared_by_what_they_lead_to(site: Site) -> None:
    """`p` at the CRM and `1` at the desk are keys of two tools: whether they mean one account, identity says."""
    told = known(site, "contact", "account")
    assert {name: one.filled for name, one in told.items()} == {"crm": 60, "desk": 60}
    assert told["crm"].compared == 0  # two systems: nobody can be outvoted


def test_the_most_fought_over_field_comes_first(site: Site) -> None:
    with reading(site.document, site.settings) as run:
        ranked = read(run, fought_over(run.tables))
    assert (ranked[0]["entity"], ranked[0]["field"]) in {("contact", "city"), ("contact", "account")}
    assert [row["open"] for row in ranked] == sorted((row["open"] for row in ranked), reverse=True)


def test_the_command_proposes_and_writes_nothing(site: Site, tmp_path: Path) -> None:
    place = ["--home", site.settings.home, "--ownership", tmp_path / "ownership.yaml"]
    (tmp_path / "ownership.yaml").write_text(THREE.model_dump_json(by_alias=True, exclude_defaults=True))
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in site.settings.home.rglob("*.duckdb")}
    answer = sor(*place, "suggest", "--field", "city", "--json")
    assert answer.code == 0, answer.err
    (one,) = answer.data
    assert one["proposal"]["owner"] == "mail"  # fills half, and is never outvoted
    assert one["proposal"]["strength"] == "likely"  # the desk is outvoted too rarely to be sure
    words = sor(*place, "suggest", "--field", "city").out
    assert "consider owner: mail" in words
    assert "owner: mail, fallback: [desk, crm]" in words
    assert "Bonn" not in words
    assert before == {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in site.settings.home.rglob("*.duckdb")
    }
    assert sor(*place, "suggest", "--field", "colour").code == 2


def witness(system: str, agrees: int = 0, compared: int = 0, **more: Any) -> Witness:
    return Witness(
        system, **{"records": 100, "filled": 100, "newest": DAY, "compared": compared, "agrees": agrees} | more
    )


def test_few_comparisons_never_beat_many() -> None:
    assert propose([witness("a", 25, 25), witness("b", 970, 1000)]).owner == "b"
    assert propose([witness("a", 19, 19), witness("b", 5, 19)], "b").owner == "b"


def test_who_fills_little_owns_nothing() -> None:
    proposal = propose([witness("a", 100, 100, filled=10), witness("b", 90, 100)], "a")
    assert proposal.owner == "b"
    assert any("left out" in reason for reason in proposal.reasons)


def test_where_nobody_can_be_outvoted_those_who_insist_are_heard() -> None:
    proposal = propose([witness("a"), witness("b", corrected=10, stuck=1)], "a")
    assert (proposal.owner, proposal.strength) == ("b", "weak")


def test_without_evidence_the_present_owner_stays() -> None:
    assert propose([witness("a", filled=70), witness("b", corrected=4, stuck=0)], "a").owner == "a"
    assert propose([witness("a", filled=70), witness("b")], None).owner is None
    assert propose([witness("a", filled=10), witness("b")], "a").owner == "b"


def test_where_nobody_speaks_nobody_is_proposed() -> None:
    assert propose([]).owner is None
    assert propose([witness("a", filled=0)]).owner is None


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 100)), min_size=1, max_size=4))
def test_a_proposal_never_depends_on_the_order_and_names_who_speaks(given: list[tuple[int, int, int]]) -> None:
    every = [witness(f"s{n}", min(a, c), c, filled=f) for n, (a, c, f) in enumerate(given)]
    proposal = propose(every)
    assert proposal == propose(every[::-1]) or proposal.owner == propose(every[::-1]).owner
    if proposal.owner is not None:
        assert next(one for one in every if one.system == proposal.owner).filled
        assert proposal.owner not in proposal.fallback
        if proposal.strength == "clear":
            best = next(one for one in every if one.system == proposal.owner)
            assert best.compared >= ENOUGH


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_interval_holds_the_share(hits: int, of: int) -> None:
    low, high = interval(min(hits, of), of)
    assert 0 <= low <= min(hits, of) / of + 1e-9
    assert min(hits, of) / of - 1e-9 <= high <= 1


def test_before_anything_ran_it_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsError, match="there is no state here yet"),
        opened(THREE, Site(tmp_path, THREE).settings, existing=True),
    ):
        pass
