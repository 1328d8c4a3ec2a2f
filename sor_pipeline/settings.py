"""The environment, read once at the edges (`cli`, `definitions`) and handed down as values.

Belongs here: every environment variable and every path below the state folder.
Does not: anything that the ownership document can say.

Variables: `SOR_OWNERSHIP` (document: file or folder), `SOR_HOME` (state folder, default
`.sor`), `SOR_WAREHOUSE_URL` (default `duckdb:///<home>/warehouse.duckdb`), `SOR_EXTRACTS`
(folder that `files:` globs start from; default: the folder of the document).
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


@dataclass(frozen=True)
class Settings:
    """Where the document, the state and the warehouse are."""

    ownership: Path
    home: Path
    warehouse_url: str
    extracts: Path

    @property
    def landing(self) -> Path:
        return self.home / "landing"

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
            warehouse_url=env.get("SOR_WAREHOUSE_URL") or f"duckdb:///{state / 'warehouse.duckdb'}",
            extracts=Path(extracts or env.get("SOR_EXTRACTS") or beside).absolute(),
        )


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
