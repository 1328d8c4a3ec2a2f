"""Names of assets, their groups, owners and kinds.

Belongs here: what a node of the graph is called. Leaf names are unique, for that is all a node
shows: names of the document never hold two underscores, so a suffix after `__` cannot collide.
Does not: what a node does.
"""

import re

import dagster as dg

from sor_pipeline import flow
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.ownership.source import Source
from sor_pipeline.tables import staged_name

POOL = "sor_warehouse"
"""Everything that opens the warehouse is in this pool; `dagster.yaml` limits it to one."""
DBT_POOL = "sor_marts"
"""dbt does not touch the warehouse; one build of the marts at a time."""


def _groups() -> dict[str, str]:
    """By step the group of its assets, numbered as the flow goes; `check` judges what `resolve` made: one group."""
    names = [step.name for step in flow.STEPS if step.name != "check"]
    words = {"resolve": "resolve_check"}
    numbered = {name: f"{number}_{words.get(name, name)}" for number, name in enumerate(names, 1)}
    return numbered | {"check": numbered["resolve"]}


GROUPS = _groups()
MARTS = "marts"
REPORT = "report"
"""What is made of the flow's last step; the names sort behind all numbers."""

SCORECARD = dg.AssetKey(["reports", "scorecard"])

_MAILBOX = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")


def landed(source: str) -> dg.AssetKey:
    return dg.AssetKey(["landing", f"{staged_name(source)}__landed"])


def staged(source: str) -> dg.AssetKey:
    return dg.AssetKey(["staged", f"{staged_name(source)}__staged"])


def identity(entity: str) -> dg.AssetKey:
    return dg.AssetKey(["identity", f"{entity}__identity"])


def canonical(entity: str) -> dg.AssetKey:
    return dg.AssetKey(["canonical", f"{entity}__canonical"])


def conformed(entity: str) -> dg.AssetKey:
    """As the table is called that people read."""
    return dg.AssetKey(["conformed", entity])


def corrections(system: str) -> dg.AssetKey:
    return dg.AssetKey(["outbound", f"{system}__corrections"])


def deliveries(system: str) -> dg.AssetKey:
    return dg.AssetKey(["outbound", f"{system}__deliveries"])


def cases() -> dg.AssetKey:
    return dg.AssetKey(["steward", "steward__cases"])


def observed() -> dg.AssetKey:
    """The published account of corrections."""
    return dg.AssetKey(["conformed", "correction"])


def published_together() -> dg.AssetKey:
    """The account of publications, for all that is published with all entities in one."""
    return dg.AssetKey(["conformed", "publication"])


def mart(model: str) -> dg.AssetKey:
    return dg.AssetKey(["marts", model])


def corrected_systems(ownership: Ownership) -> tuple[str, ...]:
    """Systems of which a source accepts corrections."""
    accepting = {system_of(name) for name, source in ownership.sources.items() if source.accepts}
    return tuple(system for system in ownership.systems if system in accepting)


def delivered_systems(ownership: Ownership) -> tuple[str, ...]:
    """Of these, the systems with a target."""
    return tuple(system for system in corrected_systems(ownership) if ownership.systems[system].target)


def owners_of_system(ownership: Ownership, system: str) -> list[str]:
    return _owners(ownership.systems[system].steward)


def owners_of_entity(ownership: Ownership, entity: str) -> list[str]:
    """The entity's steward, else that of the system that owns it."""
    spec = ownership.entities[entity]
    owning = ownership.systems.get(spec.owner)
    return _owners(spec.steward or (owning.steward if owning else None))


def _owners(steward: str | None) -> list[str]:
    """Dagster takes a mailbox or `team:<name>`."""
    words = (steward or "").strip()
    if not words:
        return []
    return [words if _MAILBOX.fullmatch(words) or words.startswith("team:") else f"team:{words}"]


def title_of_source(ownership: Ownership, name: str) -> str:
    source, system = ownership.sources[name], ownership.systems[system_of(name)]
    return source.title or f"{system.title or system_of(name)} {name.split('.', 1)[1].replace('_', ' ')}"


def delivered_as(source: Source) -> str:
    """The form in which a source comes, as a kind that Dagster may have a picture for."""
    extract = source.extract
    if not extract.files:
        return "sql"
    if extract.format:
        return extract.format
    suffixes = {
        "xlsx": "excel",
        "xls": "excel",
        "xlsb": "excel",
        "ods": "excel",
        "ndjson": "jsonl",
        "pq": "parquet",
        "txt": "csv",
    }
    parts = [part for part in extract.files[0].lower().rsplit("/", 1)[-1].split(".")[1:] if part not in ("gz", "zst")]
    suffix = parts[-1] if parts else "csv"
    return suffixes.get(suffix, suffix) if suffix.isalnum() else "csv"
