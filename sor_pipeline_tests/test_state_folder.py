"""A state folder is one document's: another one is refused before anything of it is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sor_pipeline.errors import SettingsError
from sor_pipeline.flow import opened, reading
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline_tests.flow_world import Site
from sor_pipeline_tests.test_regressions import document, rows, source


def titled(title: str, entity: str, name: str, *fields: str) -> Ownership:
    kinds: dict[str, Any] = {entity: {"owner": system_of(name), "fields": {field: {} for field in fields}}}
    made = document(kinds, {name: source(entity, "records", *fields)})
    return made.model_copy(update={"title": title})


def refusal(site: Site) -> str:
    with pytest.raises(SettingsError) as caught, opened(site.document, site.settings):
        raise AssertionError
    (fault,) = caught.value.faults
    assert fault.code == "wrong-state"
    with pytest.raises(SettingsError) as looking, reading(site.document, site.settings):
        raise AssertionError
    assert looking.value.faults == caught.value.faults
    return str(fault)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("state"), titled("Acme", "contact", "crm.contacts", "name", "code"))
    site.put("records", 0, *rows("id,name,code", "1,Ann,a"))
    site.run(0)
    return site


@pytest.mark.parametrize(
    "other",
    [
        titled("Other", "contact", "shop.users", "name"),  # the same kind of thing, of somebody else
        titled("", "contact", "shop.users", "name"),
        titled("Other", "order", "shop.orders", "name"),
    ],
)
def test_another_document_is_refused_and_harms_nothing(site: Site, other: Ownership) -> None:
    mine, before = site.document, site.everything()
    site.document = other
    try:
        told = refusal(site)
    finally:
        site.document = mine
    assert str(site.settings.home) in told
    assert "Acme" in told
    assert "crm.contacts" in told
    assert "--home" in told
    assert "SOR_HOME" in told
    site.run(0)
    assert site.everything() == before


@pytest.mark.parametrize(
    "edited",
    [
        titled("Acme Inc.", "contact", "crm.contacts", "name"),  # another title
        titled("Acme", "contact", "newcrm.people", "name"),  # the only tool replaced by another
        titled("Acme", "person", "newcrm.people", "name"),  # all begun anew, under the same title
        titled("Acme Inc.", "person", "crm.contacts", "name"),  # entities renamed
    ],
)
def test_honest_edits_are_let_through(site: Site, edited: Ownership) -> None:
    mine = site.document
    for made in (edited, mine):
        with opened(made, site.settings):
            pass


def test_where_nothing_was_delivered_yet_any_document_may_begin(tmp_path: Path) -> None:
    site = Site(tmp_path, titled("One", "contact", "crm.contacts", "name"))
    site.run(0)
    site.document = titled("Two", "order", "shop.orders", "name")
    site.run(1)


def test_documents_without_title_are_told_apart_by_what_they_name(tmp_path: Path) -> None:
    site = Site(tmp_path, titled("", "contact", "crm.contacts", "name"))
    site.put("records", 0, *rows("id,name", "1,Ann"))
    site.run(0)
    site.document = titled("", "order", "shop.orders", "name")
    assert "contact" in refusal(site)
    site.document = titled("", "contact", "shop.users", "name")
    site.run(1)
