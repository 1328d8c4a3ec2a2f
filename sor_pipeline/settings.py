"""The environment, read once at the edges (`cli`, `definitions`) and handed down as values.

Belongs here: every environment variable and every path below the state folder.
Does not: anything that the ownership document can say.

Variables: `SOR_OWNERSHIP` (document: file or folder), `SOR_HOME` (state folder, default
`.sor`), `SOR_WAREHOUSE_URL` (default `duckdb:///<home>/warehouse.duckdb`; a server:
`postgresql+psycopg://user:password@host:port/database`), `SOR_EXTRACTS`
(folder that `files:` globs start from; default: the folder of the document), `SOR_PROCESSES`
(in how many processes one Dagster run may extract and stage, where the warehouse allows it; default 1),
`SOR_LANDING` (where landed files lie: a folder, or a URL that fsspec opens; default `<home>/landing`),
`SOR_STOP_DELIVERY` (systems, parted by commas, that get no corrections; `all`; asked before every request).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sor_pipeline.errors import Fault, SettingsError

DEFAULT_DOCUMENT = "ownership.yaml"
DEFAULT_HOME = ".sor"
WAREHOUSE = "SOR_WAREHOUSE_URL"
STOP_DELIVERY = "SOR_STOP_DELIVERY"
MOST_PROCESSES = 64


@dataclass(frozen=True)
class Settings:
    """Where the document, the state and the warehouse are."""

    ownership: Path
    home: Path
    warehouse_url: str
    extracts: Path
    processes: int = 1
    landing_place: str = ""

    @property
    def landing(self) -> Path:
        """The folder of landed files; where these lie in an object store, the local cache of it."""
        if self.landing_url:
            return self.home / "landing-cache"
        return Path(self.landing_place.removeprefix("file://")) if self.landing_place else self.home / "landing"

    @property
    def landing_url(self) -> str | None:
        """The object store with the landed files; None where they lie in a folder."""
        place = self.landing_place
        return place if "://" in place and not place.startswith("file://") else None

    @property
    def readable(self) -> tuple[Path, ...]:
        """The folders whose files an engine may read."""
        return self.home, self.extracts, self.landing

    @property
    def conformed(self) -> Path:
        return self.home / "conformed.duckdb"

    @property
    def marts(self) -> Path:
        return self.home / "marts.duckdb"

    @property
    def dbt(self) -> Path:
        """The dbt project as laid out for this document."""
        return self.home / "dbt"

    @property
    def outbox(self) -> Path:
        return self.home / "outbox"

    @property
    def stopped(self) -> Path:
        """A file per system to which nothing may be sent: seen at once by a run that is at work."""
        return self.home / "stopped"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @classmethod
    def read(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        ownership: Path | None = None,
        home: Path | None = None,
        extracts: Path | None = None,
    ) -> Settings:
        """Settings from the environment; an argument that is given wins over its variable."""
        env = os.environ if environ is None else environ
        document = Path(ownership or env.get("SOR_OWNERSHIP") or DEFAULT_DOCUMENT).absolute()
        state = Path(home or env.get("SOR_HOME") or DEFAULT_HOME).absolute()
        beside = document if document.is_dir() else document.parent
        return cls(
            ownership=document,
            home=state,
            warehouse_url=env.get(WAREHOUSE) or f"duckdb:///{state / 'warehouse.duckdb'}",
            extracts=Path(extracts or env.get("SOR_EXTRACTS") or beside).absolute(),
            processes=_processes(env.get("SOR_PROCESSES") or "1"),
            landing_place=_place(env.get("SOR_LANDING") or ""),
        )


def delivery_stopped(system: str) -> bool:
    """Whether the environment says now that the system gets no corrections."""
    named = os.environ.get(STOP_DELIVERY, "").split(",")
    return bool({name.strip() for name in named} & {system, "all"})


def _place(text: str) -> str:
    """A folder as an absolute path; a URL as it is."""
    return text if not text or "://" in text else str(Path(text).expanduser().absolute())


def _processes(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_PROCESSES:
        return int(text)
    raise SettingsError(
        Fault("processes-invalid", "SOR_PROCESSES", "is no number of processes", text,
              f"a whole number from 1 to {MOST_PROCESSES}", "correct it, or leave it out: then it is 1")
    )  # fmt: skip


def expanded(text: str, environ: Mapping[str, str] | None = None) -> str:
    """`text` with every `${NAME}` replaced from the environment: how secrets reach the document's URLs.

    Raises SettingsError for a name that is not set.
    """
    env = os.environ if environ is None else environ
    missing = sorted({name for name in re.findall(r"\$\{(\w+)\}", text) if name not in env})
    if missing:
        raise SettingsError(
            *(Fault("missing-variable", f"${{{name}}}", "the document names an environment variable that is not set",
                    "nothing", f"a value for {name}", f"set {name}") for name in missing)
        )  # fmt: skip
    return re.sub(r"\$\{(\w+)\}", lambda match: env[match.group(1)], text)
