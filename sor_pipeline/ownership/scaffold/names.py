"""From the names that tools use to the names that the document uses.

Belongs here: normalising, the entity of a stream, the canonical name of a column. Does not: cell values.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection

from sor_pipeline.ownership.scaffold.words import (
    COMPANYISH,
    ENTITIES,
    HAPPENS,
    JUNCTIONS,
    NOISE,
    OF_ENTITY,
    PREFIXES,
    SYNONYMS,
    TITLES,
)

LONGEST = 40
BY_NAME = "by its name: rename it, or merge it into another entity"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_VENDOR_END = re.compile(r"_c$")
_REF_END = re.compile(r"(?<=.)_(?:id|ids|uuid|key|no|number|num|nr|ref|external_id)$")
_TABLES = frozenset({"change", "conflict", "publication", "state", "id", "affected"})
_TABLE_ENDS = {"source": "origin", "key": "code", "history": "past"}
_COLUMNS = frozenset({"entity_id", "from_publication", "valid_from", "valid_to"})
_LINEAGE = ("system", "key", "rule", "since")
_KEPT = 80


def snake(text: str, longest: int = LONGEST, stem: str = "field") -> str:
    """Lower snake case that the document accepts as a name; nothing usable gives a name made of `stem` and a digest."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("#", " number "))
    ascii_only = plain.encode("ascii", "ignore").decode()
    parts = re.findall(r"[a-z0-9]+", _CAMEL.sub("_", ascii_only).lower())
    name = "_".join(parts)
    if not name:
        return f"{stem}_{hashlib.md5(text.encode('utf-8', 'replace'), usedforsecurity=False).hexdigest()[:6]}"
    name = name if name[0].isalpha() else f"n_{name}"
    return name[:longest].strip("_")


def free(name: str, taken: Collection[str], longest: int = LONGEST) -> str:
    """`name`, or with a number behind it the first that is not taken."""
    number = 2
    found = name
    while found in taken:
        found = f"{name[: longest - len(str(number)) - 1].strip('_')}_{number}"
        number += 1
    return found


def title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


def singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


def stream_words(stream: str, system: str) -> list[str]:
    """The words of a stream's name that say what it holds, the last one singular; `people` stays."""
    words = [word for word in stream.split("_") if word not in NOISE and word != system and not word.isdigit()]
    words = words or [stream]
    return [*words[:-1], singular(words[-1])]


def entity_of(stream: str, system: str, columns: Collection[str]) -> tuple[str, str]:
    """The entity that a stream feeds, and why."""
    words = stream_words(stream, system)
    name = "_".join(words)
    if name == "customer":
        found = COMPANYISH & {part for column in columns for part in (column, *column.split("_"))}
        kind = "account" if found else "contact"
        return (
            kind,
            f"customers with {', '.join(sorted(found)[:3])}" if found else "customers without a company's columns",
        )
    if name in ENTITIES:
        return ENTITIES[name], f"{stream} are {ENTITIES[name]}s" if ENTITIES[name] != name else "by its name"
    if HAPPENS & {singular(word) for word in words} and words[-1] not in JUNCTIONS:
        happens = sorted(HAPPENS & {singular(word) for word in words})[0]
        return "interaction", f"`{happens}` in its name: something that happened"
    return snake(name, stem="entity"), BY_NAME


def allowed_entity(name: str, others: Collection[str]) -> str:
    """The entity's name, changed where it would be the name of a table that is made anyway."""
    base, _, end = name.rpartition("_")
    if end in _TABLE_ENDS and base in others:
        name = f"{base[: LONGEST - 7]}_{_TABLE_ENDS[end]}"
    return f"{name}_record" if name in _TABLES else name


def bare(column: str) -> str:
    """A column's name without what vendors put around it: `property_hs_createdate`, `segment__c`."""
    name = snake(column, _KEPT)
    changed = True
    while changed:
        changed = False
        for prefix in PREFIXES:
            if name.startswith(prefix) and len(name) > len(prefix) + 1 and name[len(prefix)].isalpha():
                name, changed = name.removeprefix(prefix), True
    return _VENDOR_END.sub("", name)


def canonical(column: str, entity: str) -> str:
    """The canonical field that a column's name suggests."""
    name = bare(column)
    own = name.removeprefix(f"{entity}_")
    name = own if own and own[0].isalpha() and own not in ("id", "key") else name
    name = "name" if name == entity else SYNONYMS.get(name, name)
    return OF_ENTITY.get(entity, {}).get(name, name)[:LONGEST].strip("_")


def reference(column: str, target: str) -> str:
    """The field for a column that holds another record's key: `organization_id` to an account is `account`."""
    name = SYNONYMS.get(bare(column), bare(column))
    name = _REF_END.sub("", _REF_END.sub("", name))
    if name.startswith("associated"):
        name = name.removeprefix("associated").removesuffix("id").strip("_")
    words = name.split("_")
    if len(words) > 1 and words[-1] == "owner":
        name = "owner"
    same = ENTITIES.get(singular(name)) == target or (singular(name) == "customer" and target in ("account", "contact"))
    return target if same and name != "owner" else name[:LONGEST].strip("_") or target


def allowed_field(name: str, entity: str, others: Collection[str]) -> str:
    """The field's name, changed where it would be the name of a column of the tables themselves."""
    base, _, end = name.rpartition("_")
    if name == f"{entity}_id" or name in _COLUMNS or (end in _LINEAGE and base in others):
        return f"{name[: LONGEST - 6].strip('_')}_value"
    return name
