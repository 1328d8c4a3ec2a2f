"""The scorecard: true, complete, private, and readable in a browser without a network."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sor_pipeline.flow import reading
from sor_pipeline.observe.report import Answer, answers, questions
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.page.matrices import percent
from sor_pipeline.page.scorecard import NAME, render, shown, write
from sor_pipeline.publish.step import run as publish
from sor_pipeline.settings import Settings
from sor_pipeline.terminal.demo import FOLDER
from sor_pipeline_tests.published_world import DOCUMENT, State, cell, hands, put
from sor_pipeline_tests.test_cli import sor

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
VOID = {"meta", "link", "wbr", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Links, ids, number cells and text of a page; every element that opens must close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.cells: list[tuple[str, str, bool]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self._cell: list[Any] | None = None
        self.feed(text)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        if tag == "td":
            self._cell = [given.get("class") or "", "", False]
        if tag == "a" and self._cell:
            self._cell[2] = True
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"{tag} closes nothing"
        assert self._open.pop() == tag
        if tag == "td" and self._cell:
            self.cells.append((self._cell[0], self._cell[1].strip(), self._cell[2]))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "code"):
            self.words.append(data)
        if self._cell:
            self._cell[1] += data


@pytest.fixture(scope="module")
def file(played: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's scorecard."""
    settings = Settings.read({}, ownership=played / FOLDER / "ownership.yaml", home=played)
    with reading(load_checked(settings.ownership), settings) as run:
        return write(run, tmp_path_factory.mktemp("report") / NAME)


@pytest.fixture(scope="module")
def page(file: Path) -> Page:
    return Page(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found(played: Path) -> dict[str, Answer]:
    settings = Settings.read({}, ownership=played / FOLDER / "ownership.yaml", home=played)
    with reading(load_checked(settings.ownership), settings) as run:
        return answers(run)


# --- the numbers -------------------------------------------------------------------------------


def test_every_query_runs_as_shown_and_gives_the_numbers_of_the_page(
    played: Path, found: dict[str, Answer], tmp_path: Path
) -> None:
    """Under the names that readers have: the published file alone, for all that says so."""
    shutil.copy(played / "conformed.duckdb", tmp_path / "conformed.duckdb")
    shutil.copy(played / "warehouse.duckdb", tmp_path / "warehouse.duckdb")
    for name, answer in found.items():
        with duckdb.connect(
            str(tmp_path / ("conformed.duckdb" if answer.published else "warehouse.duckdb")), read_only=True
        ) as reader:
            rows = reader.execute(answer.sql).fetchall()
        assert list(map(comparable, rows)) == [comparable(tuple(row.values())) for row in answer.rows], name


def comparable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(float(value) if isinstance(value, Decimal) else value for value in row)


def test_what_needs_the_private_warehouse_is_little(found: dict[str, Answer]) -> None:
    assert {name for name, answer in found.items() if not answer.published} == {
        "runs",
        "refused",
        "cases",
        "cases-by-steward",
    }


def test_every_number_leads_to_its_query(page: Page, found: dict[str, Answer]) -> None:
    fragments = {link[1:] for link in page.links if link.startswith("#")}
    assert fragments <= set(page.ids)
    assert {f"q-{name}" for name in found} <= set(page.ids)
    assert {f"q-{name}" for name in found} <= fragments
    counted = [cell for cell in page.cells if "num" in cell[0]]
    assert len(counted) > 100
    assert not [cell for cell in counted if re.search(r"\d", cell[1]) and not cell[2]]


def test_ids_are_unique_and_nothing_is_loaded(file: Path, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", text)
    assert {link for link in page.links if not link.startswith("#")} == {"data:,"}
    assert len(text) < 1_000_000


def test_the_headline_agrees_with_the_published_tables(played: Path, page: Page) -> None:
    with duckdb.connect(str(played / "conformed.duckdb"), read_only=True) as reader:
        query = "SELECT count(*) FILTER (kind <> 'missing_at_owner'), count(*) FILTER (kind = 'missing_at_owner') FROM conformed.conflict WHERE closed_in IS NULL"
        disagree, gaps = reader.execute(query).fetchall()[0]
    words = " ".join(" ".join(page.words).split())
    assert f"{disagree} claims disagree" in words
    assert f"{gaps} gaps" in words


def test_a_trend_ends_where_the_conflicts_are_now(found: dict[str, Answer]) -> None:
    last = found["publications"].rows[-1]
    open_now = sum(row["open"] for row in found["conflicts-trend"].rows if row["publication"] == last["publication"])
    assert open_now == last["conflicts"] == sum(row["open"] for row in found["conflicts-by-pair"].rows)
    for row in found["conflicts-by-field"].rows:
        trend = [
            one["open"]
            for one in found["conflicts-trend-by-field"].rows
            if (one["entity"], one["field"], one["publication"]) == (row["entity"], row["field"], last["publication"])
        ]
        assert sum(trend) == row["disagree"]


def test_agreement_counts_every_open_conflict_once(found: dict[str, Answer]) -> None:
    rows = found["agreement"].rows
    for row in rows:
        assert 0 <= row["agree"] <= row["compared"], row
        assert row["gaps"] + row["compared"] == row["claims"], row
    mapped = {(row["entity"], row["field"], row["system"]) for row in rows}
    pairs = [row for row in found["conflicts-by-pair"].rows if (row["entity"], row["field"], row["system"]) in mapped]
    assert sum(row["claims"] - row["agree"] for row in rows) == sum(row["open"] for row in pairs)


def test_no_personal_value_is_on_the_page(played: Path, file: Path, page: Page) -> None:
    ownership = load_checked(played / FOLDER / "ownership.yaml")
    text = file.read_text(encoding="utf-8")
    personal: set[str] = set()
    with duckdb.connect(str(played / "conformed.duckdb"), read_only=True) as reader:
        for entity, kind in ownership.entities.items():
            for name, field in kind.fields.items():
                if field.personal:
                    query = f"SELECT DISTINCT CAST({name} AS VARCHAR) FROM {entity}_history WHERE {name} IS NOT NULL"
                    personal |= {row[0] for row in reader.execute(query).fetchall()}
                    query = f"SELECT DISTINCT unnest([claimed, canonical]) FROM conflict WHERE entity = '{entity}' AND field = '{name}'"
                    personal |= {row[0] for row in reader.execute(query).fetchall() if row[0]}
        keys = {row[0] for row in reader.execute("SELECT DISTINCT source_key FROM contact_key").fetchall()}
        ids = {row[0] for row in reader.execute("SELECT DISTINCT contact_id FROM contact_history").fetchall()}
    assert len(personal) > 300
    words = set(re.findall(r"[\w.@+-]+", " ".join(page.words)))
    assert not personal & words
    assert not {value for value in personal if len(value) > 6 and value in text}
    assert not {value for value in keys | ids if len(value) > 6 and value in text}
    stewards = {spec.steward for spec in (*ownership.systems.values(), *ownership.entities.values())}
    assert set(re.findall(r"[\w.+-]+@[\w.-]+\w", re.sub("<wbr>", "", text))) <= stewards


# --- the page as text ----------------------------------------------------------------------------

EVIL = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} {% x %} \" ' &amp;"


def evil() -> Ownership:
    entities = {
        name: {**kind, "title": EVIL, "description": EVIL, "steward": EVIL}
        for name, kind in DOCUMENT["entities"].items()
    }
    systems = {name: {**system, "title": EVIL, "steward": EVIL} for name, system in DOCUMENT["systems"].items()}
    return Ownership.model_validate({**DOCUMENT, "title": EVIL, "entities": entities, "systems": systems})


def test_what_the_document_says_is_text(tmp_path: Path) -> None:
    run = hands(tmp_path / "home", evil())
    rows = {("contact", "a1"): {"name": cell(EVIL), "email": cell("x@y.test")}}
    conflict = {("contact", "a1", "name", "mail.members", "1"): EVIL}
    put(run, State(rows=rows, records={("crm.contacts", "1"): ("a1", True)}, conflicts=conflict), [("contact", "a1")])
    publish(run, "")
    text = render(run)
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert "&lt;script&gt;" in text
    assert "{{ 7*7 }}" in " ".join(page.words)


def test_before_the_first_publication_the_page_says_so(tmp_path: Path) -> None:
    run = hands(tmp_path / "home")
    text = render(run)
    assert "Nothing is published yet" in " ".join(Page(text).words)
    assert "nan" not in text.lower().split()


def test_after_one_publication_every_chart_is_drawn(tmp_path: Path) -> None:
    run = hands(tmp_path / "home")
    put(run, State(rows={("contact", "a1"): {"name": cell("Ann")}}), [("contact", "a1")])
    publish(run, "")
    Page(render(run))


def test_the_same_state_gives_the_same_page(played: Path, file: Path) -> None:
    settings = Settings.read({}, ownership=played / FOLDER / "ownership.yaml", home=played)
    with reading(load_checked(settings.ownership), settings) as run:
        assert render(run) == file.read_text(encoding="utf-8")


def test_names_of_questions_are_unique(demo_run: Any) -> None:
    names = [one.name for one in questions(demo_run.tables)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, "–"), (0, 9, "0 %"), (9, 9, "100 %"), (999, 1000, "99 %"), (1, 1000, "1 %"), (1, 2, "50 %")],
)
def test_a_share_never_hides_an_exception(part: int, whole: int, words: str) -> None:
    assert percent(part, whole) == words


def test_values_as_people_read_them() -> None:
    assert shown(None) == "–"
    assert shown(1234567) == "1,234,567"
    assert shown(True) == "yes"
    assert shown(1.0) == "1"
    assert shown(Decimal("2.5000")) == "2.5"
    assert shown(datetime(2026, 3, 1)) == "2026-03-01"
    assert shown(datetime(2026, 3, 1, 6, 5)) == "2026-03-01 06:05"


def test_the_command_writes_it_where_it_is_said(played: Path, tmp_path: Path, file: Path) -> None:
    answer = sor("--home", played, "report", "--output", tmp_path / "a" / "page.html", "--json")
    assert answer.code == 0, answer.err
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["page.html"]
    assert (tmp_path / "a" / "page.html").read_text(encoding="utf-8") == file.read_text(encoding="utf-8")


def test_dagster_shows_it_as_an_asset(played: Path, file: Path) -> None:
    dg = pytest.importorskip("dagster")
    from sor_pipeline.defs import keys
    from sor_pipeline.defs.report import report_assets
    from sor_pipeline.defs.workplace import Workplace

    settings = Settings.read({}, ownership=played / FOLDER / "ownership.yaml", home=played)
    workplace = Workplace(load_checked(settings.ownership), settings)
    done = dg.materialize(report_assets(), resources={"workplace": workplace})
    said = done.asset_materializations_for_node("reports__scorecard")[0]
    assert said.asset_key == keys.SCORECARD
    assert Path(said.metadata["path"].value).read_text(encoding="utf-8") == file.read_text(encoding="utf-8")
    assert said.metadata["page"].value == (settings.reports.absolute() / NAME).as_uri()
    assert said.metadata["headline"].value.count("\n") == 5


# --- in a browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        message = "no Chromium on the path: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_quietly_and_fits(browser: Any, file: Path, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    charts = page.locator("figure svg")
    assert charts.count() == 6
    for number in range(charts.count()):
        box = charts.nth(number).bounding_box()
        assert box
        assert box["width"] > 250
        assert box["height"] > 80
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", dark)[:3])) < 200) == (scheme == "dark")
    painted = page.evaluate("[...document.querySelectorAll('figure svg text')].map(one => getComputedStyle(one).fill)")
    dim = page.evaluate("getComputedStyle(document.querySelector('.lead')).color")
    assert set(painted) == {dim}, "the charts take the page's colours"
    context.close()


def test_links_lead_where_they_say(browser: Any, file: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844}, reduced_motion="reduce")
    page.goto(file.as_uri())
    for link in page.locator("nav a").all():
        target = link.get_attribute("href")
        link.click()
        assert page.evaluate("location.hash") == target
        assert page.locator(target).is_visible()
        assert page.evaluate(f"document.querySelector('{target}').getBoundingClientRect().top < innerHeight")
    page.locator(".tile a.n").first.click()
    assert page.evaluate("location.hash") == "#q-agreement-by-system"
    assert page.locator("#q-agreement-by-system pre").is_visible()
    page.locator("figure summary").first.click()
    assert page.locator("figure details table").first.is_visible()
    page.close()


def test_on_paper_it_is_light_and_whole(browser: Any, file: Path) -> None:
    page = browser.new_page(viewport={"width": 760, "height": 1000}, color_scheme="dark")
    page.goto(file.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert sum(map(int, re.findall(r"\d+", ink)[:3])) < 200
    assert page.locator("nav").is_hidden()
    assert page.locator("details.matrix table").last.is_visible()
    assert page.pdf(format="A4")[:5] == b"%PDF-"
    page.close()


def test_a_reader_without_eyes_is_told_what_a_chart_shows(browser: Any, file: Path) -> None:
    page = browser.new_page()
    page.goto(file.as_uri())
    charts = page.get_by_role("img", name="Open conflicts after each publication")
    assert charts.count() == 1
    assert "at publication 1" in charts.locator("desc").text_content()
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(one => +one.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate("[...document.querySelectorAll('th')].every(one => one.scope)")
    page.close()
