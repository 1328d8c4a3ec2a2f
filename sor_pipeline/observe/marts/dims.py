"""A dimension with history per entity, and the document's entities and fields for macros.

Belongs here: `models/history/` and `macros/fields_of_entities.sql`. Does not: how versions are selected, which is
the macro `versions_of` of `dbt_project/`.
"""

from __future__ import annotations

import json
from typing import Any

from sor_pipeline.observe.marts import yamls
from sor_pipeline.tables import Tables, grain


def fields_macro(tables: Tables) -> str:
    """`macros/fields_of_entities.sql`: the fields of each entity, in the document's order."""
    fields = {entity: list(spec.fields) for entity, spec in tables.ownership.entities.items()}
    lines = ",\n".join(f"    {json.dumps(entity)}: {json.dumps(names)}" for entity, names in fields.items())
    return (
        f"{{# {yamls.GENERATED} #}}\n"
        f"{{% macro fields_of_entities() %}}\n{{{{ return({{\n{lines}\n}}) }}}}\n{{% endmacro %}}\n"
    )


def dim_model(tables: Tables, entity: str) -> str:
    """`models/history/dim_<entity>.sql`: one row per version."""
    keys = [column.name for column in grain(tables.history[entity])]
    return (
        f"-- One row per {entity} and version of it. {yamls.GENERATED}\n"
        f"{{{{ config(unique_key={json.dumps(keys)}) }}}}\n\n"
        f"{{{{ versions_of({json.dumps(entity)}) }}}}\n"
    )


def dims_yaml(tables: Tables) -> str:
    """`models/history/history.yml`: what every column of every dimension means."""
    return yamls.document({"models": [_model(tables, entity) for entity in tables.ownership.entities]})


def _model(tables: Tables, entity: str) -> dict[str, Any]:
    history, spec = tables.history[entity], tables.ownership.entities[entity]
    keys = [column.name for column in grain(history)]
    words = (
        f"One row per {spec.title or entity} and version: what was published of it, from when to when. "
        f"{spec.description} The version at an instant: valid_from <= t and (valid_to is null or valid_to > t)."
    )
    return {
        "name": f"dim_{entity}",
        "description": yamls.plain(words),
        "data_tests": [yamls.unique_together(keys)],
        "columns": [
            yamls.column(
                column,
                personal=column.name in spec.fields and spec.fields[column.name].personal,
                tests=["not_null"] if column.name in (f"{entity}_id", "valid_from") else [],
            )
            for column in history.columns
        ],
    }
