"""Pages of Markdown to a site that opens from disk, with search, without a network.

Belongs here: MkDocs' configuration, the shim that lets a browser search from `file://`, the swap of folders.
Does not: what stands on a page.

MkDocs Material is an extra (`sor-pipeline[docs]`) and is imported here only, when a site is built.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sor_pipeline.dictionary.html import text
from sor_pipeline.errors import Fault, SettingsError

ASSETS = Path(__file__).parent / "assets"
MARK = ".sor-docs"
"""A file in every folder that was written here: only such a folder is ever replaced."""
Chapter = tuple[str, str | list[tuple[str, str]]]
"""A title, and its page or the (title, page) below it."""


def build(title: str, pages: Mapping[str, str], chapters: Sequence[Chapter], output: Path) -> None:
    """Writes the site of `pages` (path -> Markdown) into `output`, whole or not at all.

    Raises SettingsError (docs-extra-missing, docs-folder-taken).
    """
    output = output.absolute()
    _needed()
    _free(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sor-docs-", dir=output.parent) as scratch:
        folder = Path(scratch)
        for name, content in pages.items():
            target = folder / "pages" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
        shutil.copytree(ASSETS, folder / "pages" / "assets")
        (folder / "mkdocs.yml").write_text("", encoding="utf-8")
        _rendered(folder, title, chapters)
        made = folder / "site"
        for leftover in ("sitemap.xml", "sitemap.xml.gz", "404.html"):
            (made / leftover).unlink(missing_ok=True)
        (made / MARK).write_text("made by sor docs: replaced as a whole when it is made again\n", encoding="utf-8")
        if output.exists():
            output.rename(folder / "before")
        made.rename(output)


def _needed() -> None:
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        what, expected = "the site needs MkDocs Material, which is not installed", "the extra `docs`"
        todo = "pip install 'mkdocs-material>=9.6'"
        raise SettingsError(Fault("docs-extra-missing", "sor docs", what, "no mkdocs-material", expected, todo))


def _free(output: Path) -> None:
    if output.exists() and not (output.is_dir() and ((output / MARK).exists() or not any(output.iterdir()))):
        what, todo = "something else is there", "name another folder with --output"
        expected = "a new folder, an empty one, or one that sor docs made"
        raise SettingsError(Fault("docs-folder-taken", str(output), what, "files of somebody else", expected, todo))


def _rendered(folder: Path, title: str, chapters: Sequence[Chapter]) -> None:
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config

    logging.getLogger("mkdocs").setLevel(logging.ERROR)
    config = load_config(str(folder / "mkdocs.yml"), **_configuration(folder, title, chapters))
    config.plugins.on_startup(command="build", dirty=False)
    try:
        mkdocs_build(config)
    finally:
        config.plugins.on_shutdown()


def _configuration(folder: Path, title: str, chapters: Sequence[Chapter]) -> dict[str, Any]:
    from markupsafe import Markup

    return {
        "site_name": Markup(text(title)),
        "docs_dir": str(folder / "pages"),
        "site_dir": str(folder / "site"),
        "nav": [{name: page if isinstance(page, str) else [dict([one]) for one in page]} for name, page in chapters],
        "strict": True,
        "use_directory_urls": False,
        "extra_css": ["assets/dictionary.css"],
        "extra": {"generator": False, "polyfills": ["assets/iframe-worker.js"]},
        "markdown_extensions": ["attr_list", "tables", {"toc": {"permalink": True, "toc_depth": 3}}],
        "plugins": [{"search": {"separator": r"[\s\-_.,:;()]+"}}, "offline"],
        "theme": {
            "name": "material",
            "font": False,
            "features": ["navigation.indexes", "navigation.top", "search.highlight", "content.code.copy"],
            "palette": [
                {"media": "(prefers-color-scheme: light)", "scheme": "default", "primary": "indigo",
                 "toggle": {"icon": "material/weather-night", "name": "Dark"}},
                {"media": "(prefers-color-scheme: dark)", "scheme": "slate", "primary": "indigo",
                 "toggle": {"icon": "material/weather-sunny", "name": "Light"}},
            ],
        },
    }  # fmt: skip
