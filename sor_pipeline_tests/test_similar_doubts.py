"""What must not pass for the same: near ids, other people's mailboxes, names that end like a legal form."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from sor_pipeline.flow import opened, pass_through
from sor_pipeline.identify.similar.comparing import comparisons
from sor_pipeline.identify.similar.features import features
from sor_pipeline.identify.similar.model import train
from sor_pipeline.identify.similar.plan import Part, Plan, plan_of
from sor_pipeline.identify.similar.vetoes import veto
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings
from sor_pipeline_tests.flow_world import QUICK

DOCUMENT = Ownership.model_validate(
    {
        "systems": {"crm": {}},
        "entities": {
            "contact": {
                "owner": "crm",
                "match": [{"similar": ["first_name", "last_name", "email", "birthday", "ssn"]}],
                "fields": {
                    "first_name": {"type": "name"}, "last_name": {"type": "name"}, "email": {"type": "email"},
                    "birthday": {"type": "date"}, "ssn": {"type": "text", "unique": True},
                },
            }
        },
        "sources": {
            "crm.contacts": {
                "entity": "contact", "key": "id", "extract": {"files": "contacts-*.csv", "max_shrink": 1},
                "fields": {n: n for n in ("first_name", "last_name", "email", "birthday", "ssn")},
            }
        },
    }
)  # fmt: skip


def vetoed(**levels: str) -> str | None:
    """What is said against a pair that agrees in these levels, by label; nothing is known of the rest."""
    plan = plan_of(DOCUMENT.entities["contact"])
    assert plan is not None
    said = comparisons(plan)
    expression = veto(said, 1000)
    row: dict[str, object] = dict.fromkeys(expression.meta.root_names())
    for one in said:
        labels = [level.label for level in one.speaking]
        wanted = levels.get(one.name)
        row[f"gamma_{one.name}"] = -1 if wanted is None else len(labels) - 1 - labels.index(wanted)
    return pl.DataFrame([row]).with_columns(expression)["veto"].item()  # type: ignore[no-any-return]


def test_only_the_same_id_lifts_what_speaks_against_a_pair() -> None:
    apart = {"first_name": "different", "last_name": "same", "birthday": "different"}
    assert vetoed(ssn="same", **apart) is None
    assert vetoed(ssn="one character off", **apart) is not None
    assert vetoed(ssn="one character off", first_name="same", last_name="same") is None  # it bears the name out


def test_a_mailbox_at_another_domain_is_another_mailbox() -> None:
    names = {"first_name": "same", "last_name": "same", "birthday": "different"}
    assert vetoed(email="same", **names) is None
    assert vetoed(email="one or two letters off", **names) is None
    assert vetoed(email="same before the @", **names) is not None


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("blue seas ltd", "blue seas"), ("hotel coco", "hotel coco"), ("massey agco", "massey agco"),
        ("casa sasa gmbh", "casa sasa"), ("foo und co kg gmbh", "foo"), ("abc gmbh & co. kg", "abc"),
        ("acme und soehne", "acme und soehne"),
    ],
)  # fmt: skip
def test_a_name_that_ends_like_a_legal_form_keeps_its_end(name: str, core: str) -> None:
    part = Part("x", "company", ("f",), ("company",))
    raw = pl.DataFrame({"f__raw": [name]})
    assert features(raw, Plan((part,), ()))["x__core"].item() == core


def test_the_lack_of_a_model_is_told_every_time(tmp_path: Path) -> None:
    settings = Settings.read({}, ownership=tmp_path / "ownership.yaml", home=tmp_path / ".sor", extracts=tmp_path)
    people = [f"{n},Ann{n},Quill,a{n}@x.example,1980-01-0{n},{n}{n}{n}" for n in range(1, 5)]
    lines = ["id,first_name,last_name,email,birthday,ssn", *people]
    (tmp_path / "contacts-2026-03-01.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for _ in range(3):
        with opened(DOCUMENT, settings) as run:
            assert [fault.code for fault in pass_through(run, QUICK).faults] == ["no-model"]
    with opened(DOCUMENT, settings) as run:
        trained = train(run, "contact")
        assert trained is not None
        assert trained.records == 4
        assert pass_through(run, QUICK).faults == ()
