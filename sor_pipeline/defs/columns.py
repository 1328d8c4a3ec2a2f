"""What the UI says about columns, computed from the ownership document: schema and lineage.

Belongs here: `TableSchema` and `TableColumnLineage` of every table that is an asset.
Does not: anything about rows (`figures`).

Bookkeeping columns (`<field>__state`, `<field>__since`, ...) are left out: each field has them.
"""

from collections.abc import Iterable, Mapping

import dagster as dg
import sqlalchemy as sa

from sor_pipeline.defs import keys
from sor_pipeline.ownership.document import Ownership, Rule, system_of
from sor_pipeline.ownership.entity import Field, Severity
from sor_pipeline.tables import Tables

PUBLISHED = "conformed"
"""Only what is published keeps what a field promises, and only where a breach is held or blocks."""


def landed_columns(ownership: Ownership, source: str) -> dict[str, str]:
    """The delivered columns that the document names, with what each is for."""
    spec = ownership.sources[source]
    uses: dict[str, list[str]] = {}
    for column in spec.key:
        uses.setdefault(column, []).append("key")
    if spec.changed_at:
        uses.setdefault(spec.changed_at, []).append("when the row changed")
    for column in spec.extract.deleted:
        uses.setdefault(column, []).append("deletion flag")
    for field, mapping in spec.fields.items():
        for column in mapping.columns:
            uses.setdefault(column, []).append(f"{spec.entity}.{field}")
    return {column: "; ".join(words) for column, words in uses.items()}


def landed_schema(ownership: Ownership, source: str, header: Iterable[str] = ()) -> dg.TableSchema:
    """Columns as delivered, all text; `header` is that of the newest batch, where there is one."""
    uses = landed_columns(ownership, source)
    names = list(header) or list(uses)
    return dg.TableSchema([dg.TableColumn(name, "text", uses.get(name)) for name in names])


def staged_schema(ownership: Ownership, tables: Tables, source: str) -> dg.TableSchema:
    spec = ownership.sources[source]
    return _schema(
        tables.staged[source], ["_key", "_changed_at", "_deleted_at"], _fields(ownership, spec.entity, spec.fields)
    )


def canonical_schema(ownership: Ownership, tables: Tables, entity: str) -> dg.TableSchema:
    return _schema(tables.canonical[entity], ["entity_id"], ownership.entities[entity].fields)


def conformed_schema(ownership: Ownership, tables: Tables, entity: str) -> dg.TableSchema:
    return _schema(tables.conformed[entity], [f"{entity}_id"], ownership.entities[entity].fields)


def table_schema(table: sa.Table) -> dg.TableSchema:
    """All columns of a table, as they are."""
    return _schema(table, table.columns.keys(), {})


def _fields(ownership: Ownership, entity: str, names: Iterable[str]) -> dict[str, Field]:
    return {name: ownership.entities[entity].fields[name] for name in names}


def _schema(table: sa.Table, first: Iterable[str], fields: Mapping[str, Field]) -> dg.TableSchema:
    """`fields`: those that the table has; it is published where it keeps what they promise."""
    columns = []
    for name in (*first, *fields):
        column, field = table.columns[name], fields.get(name)
        kept = field if table.schema == PUBLISHED else None
        required = kept is not None and kept.required and kept.severity.required is not Severity.warn
        unique = kept is not None and kept.unique and kept.severity.unique is not Severity.warn
        columns.append(
            dg.TableColumn(
                name,
                str(column.type).lower(),
                (field.description or field.title if field else None) or column.comment,
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable) and not required, unique=unique),
                tags={"personal": ""} if field and field.personal else None,
            )
        )
    return dg.TableSchema(columns)


def staged_lineage(ownership: Ownership, source: str) -> dg.TableColumnLineage:
    """A staged field comes from the columns that its mapping reads."""
    spec, upstream = ownership.sources[source], keys.landed(source)
    found = {
        field: [dg.TableColumnDep(upstream, column) for column in mapping.columns]
        for field, mapping in spec.fields.items()
    }
    found["_key"] = [dg.TableColumnDep(upstream, column) for column in spec.key]
    return dg.TableColumnLineage(found)


def canonical_lineage(ownership: Ownership, entity: str) -> dg.TableColumnLineage:
    """A canonical field comes from the staged field of every source whose word can be taken."""
    return dg.TableColumnLineage(
        {
            field: [dg.TableColumnDep(keys.staged(source), field) for source in speaking(ownership, entity, field)]
            for field in ownership.entities[entity].fields
        }
    )


def conformed_lineage(ownership: Ownership, entity: str) -> dg.TableColumnLineage:
    upstream = keys.canonical(entity)
    found = {field: [dg.TableColumnDep(upstream, field)] for field in ownership.entities[entity].fields}
    return dg.TableColumnLineage({f"{entity}_id": [dg.TableColumnDep(upstream, "entity_id")], **found})


def speaking(ownership: Ownership, entity: str, field: str) -> tuple[str, ...]:
    """Sources that map the field and belong to a system that its rule may ask, in the rule's order."""
    asked = systems_asked(ownership.rule_of(entity, field))
    mapping = [name for name, source in ownership.sources_of(entity).items() if field in source.fields]
    return tuple(name for system in asked for name in mapping if system_of(name) == system)


def systems_asked(rule: Rule) -> tuple[str, ...]:
    """Every system whose word a rule can take: exceptions, owner, fallbacks, or those that `take` is among."""
    owner = [rule.owner] if rule.owner else []
    return tuple(dict.fromkeys([*owner, *(one.owner for one in rule.exceptions), *rule.fallback, *rule.among]))


def rules_in_words(ownership: Ownership, entity: str) -> str:
    """Markdown: who decides each field, and which sources can speak. Dagster's own UI does not draw lineage."""
    lines = ["| field | type | decided by | sources |", "|---|---|---|---|"]
    for name, field in ownership.entities[entity].fields.items():
        rule = ownership.rule_of(entity, name)
        taken = field.summary.words if field.summary else f"**{rule.take}** of {', '.join(rule.among)}"
        said = f"owner **{rule.owner}**" if rule.owner else f"takes the {taken}"
        said += "".join(f"; {one.owner} when `{one.when}` ({one.reason})" for one in rule.exceptions)
        said += f"; else {', '.join(rule.fallback)}" if rule.fallback else ""
        cells = (name, field.type, said, ", ".join(speaking(ownership, entity, name)))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
