"""The dbt project for one ownership document: what is written by hand, and what the document says.

Belongs here: which files it has, and laying them out below the state folder. Does not: running dbt (`build`).

In the repository `dbt_project/` is laid out for the demo company's document, to be read and run where it
stands; a test holds its generated files to the document.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.observe.marts.dims import dim_model, dims_yaml, fields_macro
from sor_pipeline.observe.marts.sources import sources_yaml
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings
from sor_pipeline.tables import Tables

BUILD = "build"
"""Folder of the laid out project in which dbt finds what it reads and leaves what it builds."""
_FILES = ("dbt_project.yml", "profiles.yml", "models/**/*", "macros/**/*", "tests/**/*")
_GENERATED = ("models/conformed", "models/history", "macros/fields_of_entities.sql")
_STATE = "../.sor/"
"""Where the profile by hand has the two files."""


def by_hand() -> Path:
    """The project's folder: beside the package in a clone, inside it where it is installed.

    Raises SettingsError where neither has it.
    """
    package = Path(__file__).parents[2]
    for folder in (package.parent / "dbt_project", package / "dbt_project"):
        if (folder / "dbt_project.yml").is_file():
            return folder
    raise SettingsError(
        Fault("no-dbt-project", str(package), "the dbt project is not where the package is", "",
              "a folder dbt_project", "install the package again")
    )  # fmt: skip


def generated(ownership: Ownership) -> dict[str, str]:
    """Text by path of every file that the document makes."""
    tables = Tables(ownership)
    return {
        "macros/fields_of_entities.sql": fields_macro(tables),
        "models/conformed/sources.yml": sources_yaml(tables),
        "models/history/history.yml": dims_yaml(tables),
        **{f"models/history/dim_{entity}.sql": dim_model(tables, entity) for entity in ownership.entities},
    }


def left_out(ownership: Ownership, needs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Folders of models that the document cannot feed, each with what is missing: `account.name`.

    `needs`: folder, entity, field, and what it must be: `ref <entity>`, how it is stored, or codes that it has.
    """
    found = {folder: list(_missing(ownership, wanted)) for folder, wanted in needs.items()}
    return {folder: missing for folder, missing in found.items() if missing}


def _missing(ownership: Ownership, wanted: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for entity, fields in wanted.items():
        known = ownership.entities[entity].fields if entity in ownership.entities else {}
        for name, what in fields.items():
            field = known.get(name)
            if field is None:
                yield f"{entity}.{name}"
            elif isinstance(what, list):
                codes = field.of if isinstance(field.of, tuple) else ()
                yield from (f"{entity}.{name} = {code}" for code in what if code not in codes)
            elif what != (f"ref {field.to}" if field.to else field.kind.stored.value):
                yield f"{entity}.{name} ({what})"


def files(ownership: Ownership, build: Path) -> dict[str, str]:
    """Text by path of the whole project for this document; dbt reads and writes in the folder `build`."""
    home = by_hand()
    needs = yaml.safe_load((home / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["needs"]
    without = tuple(f"models/{folder}/" for folder in left_out(ownership, needs))
    paths = sorted({path for pattern in _FILES for path in home.glob(pattern) if path.is_file()})
    written = {path.relative_to(home).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    kept = {name: text for name, text in written.items() if not name.startswith((*_GENERATED, *without))}
    kept["profiles.yml"] = kept["profiles.yml"].replace(_STATE, f"{json.dumps(build.as_posix())[1:-1]}/")
    return {**kept, **generated(ownership)}


def lay_out(ownership: Ownership, settings: Settings) -> tuple[Path, str]:
    """The project's folder below the state folder, as the document has it; and a digest of all its files.

    Files of an older document go. What is as it was is not touched, so that dbt need not parse it again.
    """
    folder = settings.dbt
    wanted = files(ownership, folder / BUILD)
    for name in ("models", "macros", "tests"):
        for path in [one for one in (folder / name).rglob("*") if one.is_file()]:
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return folder, hashlib.sha256(json.dumps(sorted(wanted.items())).encode()).hexdigest()[:16]
