"""Five tools' extracts loaded together: nothing that means nothing makes two records of two tools one.

The extracts are others' test data, anonymised by hashing and masking: full of digests of empty cells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sor_pipeline.flow import STEPS, Passage, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings

EXTRACTS = Path(__file__).parents[2] / "shared" / "extracts"
pytestmark = pytest.mark.skipif(not EXTRACTS.is_dir(), reason="the shared extracts are not here")

TEXT: dict[str, Any] = {"type": "text"}
DOCUMENT: dict[str, Any] = {
    "systems": {name: {} for name in ("hubspot", "marketo", "salesforce", "stripe", "zendesk")},
    "entities": {
        "account": {
            "owner": "salesforce",
            "match": [{"same": ["name"]}, {"same": ["phone"]}, {"same": ["site"]}, {"same": ["industry", "city"]}, {"same": ["street"]}],
            "fields": {
                "name": {"type": "name"}, "phone": TEXT, "site": TEXT, "industry": TEXT, "city": TEXT, "street": TEXT,
                "details": TEXT,
            },
        },
        "contact": {
            "owner": "hubspot",
            "match": [
                {"same": ["email"]}, {"same": ["handle"]}, {"same": ["phone"]}, {"same": ["first_name", "last_name"]},
                {"same": ["name", "company"]}, {"linked": {"zendesk.users.external_id": "hubspot.contacts"}},
            ],
            "fields": {
                "email": {"type": "email", "personal": True}, "handle": TEXT, "phone": {"type": "phone", "region": "US"},
                "first_name": {"type": "name"}, "last_name": {"type": "name"}, "name": {"type": "name"},
                "company": TEXT, "title": TEXT,
            },
        },
    },
    "sources": {
        "hubspot.companies": {
            "entity": "account", "extract": {"files": "hubspot/company_data.csv"}, "key": "id",
            "fields": {
                "name": "property_name", "site": "property_address_2", "industry": "property_industry",
                "city": "property_city", "street": "property_address", "details": "property_description",
            },
        },
        "hubspot.contacts": {
            "entity": "contact", "extract": {"files": "hubspot/contact_data.csv"}, "key": "id",
            "fields": {
                "email": "property_email", "handle": "property_email", "first_name": "property_firstname",
                "last_name": "property_lastname", "company": "property_company", "title": "property_jobtitle",
            },
        },
        "marketo.leads": {
            "entity": "contact", "extract": {"files": "marketo/marketo_lead_data.csv"}, "key": "id",
            "fields": {"email": "email", "handle": "email", "first_name": "first_name", "last_name": "last_name"},
        },
        "salesforce.accounts": {
            "entity": "account", "extract": {"files": "salesforce/sf_account_data.csv"}, "key": "id",
            "fields": {
                "name": "name", "phone": "phone", "site": "website", "industry": "industry", "city": "billing_city",
                "street": "billing_street", "details": "description",
            },
        },
        "salesforce.contacts": {
            "entity": "contact", "extract": {"files": "salesforce/sf_contact_data.csv"}, "key": "id",
            "fields": {
                "email": "email", "handle": "email", "phone": "phone", "first_name": "first_name",
                "last_name": "last_name", "name": "name", "company": "account_id", "title": "title",
            },
        },
        "stripe.customers": {
            "entity": "contact", "extract": {"files": "stripe/customer_data.csv"}, "key": "id",
            "fields": {
                "email": "email", "handle": "email", "phone": "phone", "name": "name",
                "company": "description", "title": "metadata",
            },
        },
        "zendesk.organizations": {
            "entity": "account", "extract": {"files": "zendesk/organization_data.csv"}, "key": "id",
            "fields": {"name": "name", "details": "details"},
        },
        "zendesk.users": {
            "entity": "contact", "extract": {"files": "zendesk/user_data.csv"}, "key": "id",
            "fields": {
                "email": "email", "handle": "email", "phone": "phone", "name": "name", "company": "organization_id",
                "title": "role",
            },
        },
    },
}  # fmt: skip
QUICK = tuple(step for step in STEPS if step.name != "check")
NOTHING = ("", " ", "null", "NULL", "none", "None", "n/a", "N/A", "unknown")
DIGESTS = {hashlib.new(n, t.encode()).hexdigest() for n in ("md5", "sha1", "sha256", "sha512") for t in NOTHING}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Passage, duckdb.DuckDBPyConnection]]:
    folder = tmp_path_factory.mktemp("five")
    settings = Settings.read({}, ownership=folder / "ownership.yaml", home=folder / "home", extracts=EXTRACTS)
    with opened(Ownership.model_validate(DOCUMENT), settings, datetime(2026, 3, 1)) as run:
        passage = pass_through(run, QUICK)
    with duckdb.connect(str(settings.home / "warehouse.duckdb"), read_only=True) as connection:
        yield passage, connection


def merges(connection: duckdb.DuckDBPyConnection, entity: str) -> list[tuple[Any, ...]]:
    """Per rule, the tokens that join records of two systems and are not distrusted, and how many entities they made."""
    return connection.execute(
        f"""
        SELECT t.rule, t.token, count(DISTINCT split_part(t.source, '.', 1)), count(*)
        FROM identity.{entity}__token t
        WHERE NOT EXISTS (FROM identity.{entity}__distrusted d WHERE d.rule = t.rule AND d.token = t.token)
        GROUP BY ALL HAVING count(DISTINCT split_part(t.source, '.', 1)) > 1 ORDER BY ALL
        """
    ).fetchall()


def across(connection: duckdb.DuckDBPyConnection, entity: str) -> int:
    """Entities with live records of two systems or more."""
    (found,) = connection.execute(
        f"SELECT count(*) FROM (SELECT {entity}_id FROM conformed.{entity}_key GROUP BY 1 HAVING count(DISTINCT system) > 1)"
    ).fetchall()
    return int(found[0])


def test_all_five_systems_are_loaded(loaded: tuple[Passage, duckdb.DuckDBPyConnection]) -> None:
    passage, connection = loaded
    assert passage.state == "published"
    systems = connection.execute(
        "SELECT DISTINCT system FROM (FROM conformed.contact_key SELECT system UNION FROM conformed.account_key SELECT system)"
    ).fetchall()
    assert {row[0] for row in systems} == {"hubspot", "marketo", "salesforce", "stripe", "zendesk"}


def test_no_records_of_two_systems_are_one_for_a_value_that_means_nothing(
    loaded: tuple[Passage, duckdb.DuckDBPyConnection],
) -> None:
    _, connection = loaded
    for entity in ("contact", "account"):
        assert merges(connection, entity) == []
        assert across(connection, entity) == 0


def test_no_token_that_links_is_a_digest_of_nothing_or_a_mask(
    loaded: tuple[Passage, duckdb.DuckDBPyConnection],
) -> None:
    _, connection = loaded
    for entity in ("contact", "account"):
        tokens = connection.execute(
            f"""
            SELECT rule, token, count(*) FROM identity.{entity}__token t
            WHERE NOT EXISTS (FROM identity.{entity}__distrusted d WHERE d.rule = t.rule AND d.token = t.token)
            GROUP BY ALL HAVING count(*) > 1
            """
        ).fetchall()
        for _, token, _ in tokens:
            assert not DIGESTS & set(token.lower().split("|"))
            assert "**" not in token
            assert token not in ("example@email.com", "test@test.com")


def test_what_was_distrusted_is_on_record(loaded: tuple[Passage, duckdb.DuckDBPyConnection]) -> None:
    passage, connection = loaded
    reasons = {row[0] for row in connection.execute("SELECT reason FROM identity.contact__distrusted").fetchall()}
    reasons |= {row[0] for row in connection.execute("SELECT reason FROM identity.account__distrusted").fetchall()}
    assert "digest-of-nothing" in reasons
    assert "placeholder" in reasons
    assert passage.count("identify", "distrusted") > 0
