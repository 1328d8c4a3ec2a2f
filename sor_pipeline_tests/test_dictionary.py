"""The data dictionary: complete for any document, safe whatever the document says, readable from disk."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sor_pipeline import cli
from sor_pipeline.dictionary import pages, write
from sor_pipeline.dictionary import site as sites
from sor_pipeline.dictionary.html import Html, code, element, joined, link, text
from sor_pipeline.dictionary.reference import missing, reference
from sor_pipeline.errors import SettingsError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked

HOUSE = Path(__file__).parents[1]
DEMO = HOUSE / "sor_pipeline" / "demo" / "ownership.yaml"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
EVIL = """"'><script>window.pwned=1</script><img src=x onerror="window.pwned=1"></div></div> # h [x](javascript:pwned) `*_${{ 7*7 }}{% x %}&lt; \u0002wzxhzdk:0\u0003 \u202eevil"""


def document(evil: str = "plain") -> Ownership:
    """Two systems and one entity, with `evil` in every free text that there is."""
    return Ownership.model_validate(
        {
            "title": evil,
            "systems": {
                "crm": {"title": evil, "steward": evil, "description": evil},
                "desk": {"title": evil, "role": "engagement"},
            },
            "placeholders": {"text": [evil]},
            "entities": {
                "thing": {
                    "owner": "crm", "title": evil, "description": evil, "steward": evil,
                    "match": [{"same": ["name"]}, {"linked": {f"desk.items.{evil}": "crm.items"}}],
                    "groups": {"place": {"title": evil, "description": evil, "owner": "crm", "fallback": ["desk"]}},
                    "fields": {
                        "name": {
                            "title": evil, "description": evil, "pattern": evil, "placeholders": [evil], "required": True,
                            "exceptions": [{"when": f"kind = '{evil}'", "owner": "desk", "reason": evil}],
                        },
                        "kind": {"type": "choice", "of": [evil, "b"], "group": "place"},
                        "other": {"type": "ref", "to": "thing", "take": "latest", "stale_after": "90 days"},
                    },
                    "expectations": [{"expect": evil, "with": {evil: evil}, "description": evil}],
                }
            },
            "sources": {
                "crm.items": {
                    "entity": "thing", "title": evil, "description": evil, "key": [evil, "b"], "changed_at": evil,
                    "extract": {"files": [evil], "mode": "changes", "every": "day", "deleted": {evil: [evil]}},
                    "fields": {
                        "name": {"join": [evil, "b"], "separator": evil}, "kind": {"from": evil, "codes": {evil: "b"}},
                        "other": {"from": evil, "format": evil, "true_texts": [evil], "separator_in": evil},
                    },
                    "only": {evil: [evil]}, "accepts": ["name", "kind"],
                },
                "desk.items": {
                    "entity": "thing", "key": "id", "extract": {"query": evil, "url": f"postgresql://u:{evil}@h/d"},
                    "fields": {"name": {"constant": evil}}, "accepts": ["name"], "unique": True,
                },
            },
        }
    )  # fmt: skip


class Tags(HTMLParser):
    """Elements and attributes of a page, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name in ("href", "src")]
        self.ids |= {value or "" for name, value in attrs if name == "id"}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's site."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site") / "docs"
    write(load_checked(DEMO), folder)
    return folder


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a document that is nothing but an attack."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("evil") / "docs"
    write(document(EVIL), folder)
    return folder


# what every page says


def test_every_entity_field_source_and_system_is_there_with_its_words() -> None:
    ownership = load_checked(DEMO)
    made = pages(ownership)
    for name, system in ownership.systems.items():
        assert text(system.title) in made[f"systems/{name}.md"]
        assert text(system.steward) in made[f"systems/{name}.md"]
    for name, entity in ownership.entities.items():
        page = made[f"entities/{name}.md"]
        assert text(entity.description) in page
        for field, spec in entity.fields.items():
            assert f"{{ #{field} }}" in page
            assert f"entities/{name}.html#{field}" in made["fields.md"]
            section = page.split(f"{{ #{field} }}")[1].split("\n### ")[0]
            assert text(spec.description) in section
            for exception in spec.exceptions:
                assert code(exception.when) in section
                assert text(exception.reason) in section
            for system in spec.fallback:
                assert f"systems/{system}.html" in section
            for source, declared in ownership.sources_of(name).items():
                if field in declared.fields:
                    assert source in section
                    for ours in declared.fields[field].codes.values():
                        assert code(ours) in section
    for source, declared in ownership.sources.items():
        page = made[f"systems/{source.split('.')[0]}.md"]
        assert f"### `{source}`" in page
        assert all(f"#{field}" in page for field in declared.fields)


def test_a_rule_is_told_in_the_order_in_which_it_speaks() -> None:
    page = pages(load_checked(DEMO))["entities/contact.md"]
    section = page.split("{ #opted_in }")[1].split("\n### ")[0]
    said = [section.index(part) for part in ("Where <code>country in", "Else ", "Where the owner never had a value")]
    assert said == sorted(said)


def test_what_cannot_be_written_back_says_why() -> None:
    page = pages(document())["entities/thing.md"]
    assert "several columns are joined" in page.split("{ #name }")[1].split("\n### ")[0]


def test_a_database_s_url_is_never_shown() -> None:
    assert not any("postgresql" in page for page in pages(document("secret")).values())


# nothing of the document is anything but text


@given(st.text())
@settings(max_examples=300)
def test_any_text_stays_text(raw: str) -> None:
    whole = joined([element("p", raw, title=raw), code(raw), link("x.html", raw)], raw)
    read = Tags(whole)
    assert read.tags <= {"p", "code", "a"}
    assert read.attributes <= {"title", "href"}
    assert "\n" not in text(raw)
    text(raw).encode()


def test_html_is_escaped_once() -> None:
    assert text(text("<&>")) == text("<&>") == "&lt;&amp;&gt;"
    assert element("p", Html("<b>x</b>"), None) == "<p><b>x</b></p> "


def test_a_hostile_document_adds_no_element_and_no_attribute(attacked: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    write(document(), plain)
    harmless = {path.relative_to(plain): Tags(path.read_text("utf-8")) for path in plain.rglob("*.html")}
    assert harmless
    for path, before in harmless.items():
        after = Tags((attacked / path).read_text("utf-8"))
        assert after.tags <= before.tags, path
        assert after.attributes <= before.attributes, path
        assert not [target for target in after.targets if target.startswith(("javascript", "http", "//"))], path
    assert "<img" not in (attacked / "search" / "search_index.json").read_text("utf-8")


# the site


def test_every_link_leads_somewhere_and_nothing_needs_a_network(built: Path) -> None:
    read = {path.resolve(): Tags(path.read_text("utf-8")) for path in built.rglob("*.html")}
    assert len(read) == 2 + len(load_checked(DEMO).entities) + len(load_checked(DEMO).systems)
    for path, page in read.items():
        for target in page.targets:
            assert "://" not in target, (path, target)
            file, _, anchor = target.partition("#")
            found = (path.parent / file).resolve() if file else path
            if found == built.resolve() or found.suffix != ".html":
                assert found.exists(), (path, target)
            elif anchor:
                assert anchor in read[found].ids, (path, target)
    assert not re.search(r"(src|href)=.?https?:", "".join(path.read_text("utf-8") for path in built.rglob("*.html")))


def test_a_large_document_is_written_in_reasonable_time(tmp_path: Path) -> None:
    pytest.importorskip("material")
    entities = {
        f"thing_{number}": {"owner": "crm", "fields": {f"field_{field}": {} for field in range(14)}}
        for number in range(92)
    }
    sources = {
        f"{system}.things_{number}": {
            "entity": f"thing_{number}", "key": "id", "extract": {"files": "x.csv"},
            "fields": {f"field_{field}": f"f{field}" for field in range(14)},
        }
        for number in range(92)
        for system in ("crm", "desk")
    }  # fmt: skip
    large = Ownership.model_validate({"systems": {"crm": {}, "desk": {}}, "entities": entities, "sources": sources})
    begun = time.perf_counter()
    assert write(large, tmp_path / "site") == 96
    assert time.perf_counter() - begun < 60


def test_only_a_folder_of_its_own_is_replaced(tmp_path: Path) -> None:
    pytest.importorskip("material")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(SettingsError, match="docs-folder-taken"):
        write(document(), mine)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (mine / "letter.txt").read_text() == "dear"
    fresh = tmp_path / "a" / "b"
    write(document("first"), fresh)
    write(document("second"), fresh)
    assert "second" in (fresh / "index.html").read_text("utf-8")
    assert [path.name for path in fresh.parent.iterdir()] == ["b"]


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="docs-extra-missing") as caught:
        write(document(), tmp_path / "site")
    assert "mkdocs-material>=9.6" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_it_and_says_where(tmp_path: Path) -> None:
    pytest.importorskip("material")
    arguments = ["docs", "--ownership", str(DEMO), "--home", str(tmp_path / "home")]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "index.html" in done.output
    assert (tmp_path / "home" / "docs" / "index.html").exists()
    done = CliRunner().invoke(cli.app, [*arguments, "--output", str(tmp_path / "there"), "--json"])
    assert '"pages": 19' in done.output


# in a browser, from disk


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as hands, tempfile.TemporaryDirectory() as profile:
        context = hands.chromium.launch_persistent_context(
            profile, executable_path=str(CHROMIUM), args=FLAGS, headless=True
        )
        yield context
        context.close()


def visit(browser: Any, page: Path, width: int = 1280) -> tuple[Any, list[str]]:
    """The page as opened from disk, and what the browser complained about or fetched elsewhere."""
    opened = browser.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:", "about:")) else complaints.append(asked.url),
    )
    opened.set_viewport_size({"width": width, "height": 900})
    opened.goto(page.as_uri())
    opened.wait_for_load_state("networkidle")
    return opened, complaints


def search(opened: Any, words: str) -> list[str]:
    opened.wait_for_timeout(300)
    opened.keyboard.press("s")
    opened.wait_for_timeout(300)
    opened.keyboard.type(words, delay=15)
    opened.wait_for_selector(".md-search-result__item", timeout=10_000)
    return list(opened.eval_on_selector_all(".md-search-result__item", "all => all.map(one => one.innerText)"))


def test_search_works_without_a_server(built: Path, browser: Any) -> None:
    opened, complaints = visit(browser, built / "index.html")
    found = search(opened, "collecting office")
    assert "account" in found[0]
    assert "Public bodies pay by purchase order" in found[0]
    assert complaints == []
    opened.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_and_the_picture_is_drawn(built: Path, browser: Any, width: int) -> None:
    for name in ("index.html", "fields.html", "entities/account.html", "systems/hubspot.html"):
        opened, complaints = visit(browser, built / name, width)
        assert opened.evaluate("document.documentElement.scrollWidth") <= width, name
        assert complaints == []
        if name != "fields.html":
            assert opened.evaluate("document.querySelector('.flow svg').getBoundingClientRect().height") > 60
        opened.close()


def test_a_box_of_the_picture_leads_to_its_page(built: Path, browser: Any) -> None:
    opened, _ = visit(browser, built / "index.html")
    opened.click(".flow .things a >> nth=1")
    opened.wait_for_load_state()
    assert opened.url.endswith("entities/account.html")
    opened.close()


def test_a_hostile_document_runs_nothing(attacked: Path, browser: Any) -> None:
    for name in ("index.html", "entities/thing.html", "systems/crm.html"):
        opened, _ = visit(browser, attacked / name)
        search(opened, "window pwned")
        assert opened.evaluate("window.pwned") is None, name
        opened.close()


# the reference of the document's keys


def test_the_reference_is_that_of_the_models() -> None:
    written = (HOUSE / "docs" / "reference.md").read_text(encoding="utf-8")
    todo = "run: python -m sor_pipeline.dictionary.reference docs/reference.md"
    assert written == reference(), todo


def test_every_key_has_a_meaning() -> None:
    assert missing() == []
