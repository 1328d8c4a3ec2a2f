"""Which column is which field of its entity, and of which type the field is.

Belongs here: names that meet, types that must agree. Does not: owners (`assemble`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from sor_pipeline.ownership.scaffold.guesses import FieldGuess, MappingGuess, SourceGuess
from sor_pipeline.ownership.scaffold.kinds import guess
from sor_pipeline.ownership.scaffold.names import LONGEST, allowed_field, bare, canonical, free, reference, snake
from sor_pipeline.ownership.scaffold.sample import Column, Kind, Reads
from sor_pipeline.ownership.scaffold.words import FALSE, OTHER_PEOPLE, PEOPLE, PERSONAL, TRUE

_LOADERS = ("_fivetran_", "_airbyte_", "_ab_cdc_", "_dlt_", "_sdc_", "_stitch_", "__hevo")
_WIDER = {
    frozenset({"integer", "decimal"}): "decimal",
    frozenset({"date", "timestamp"}): "timestamp",
    frozenset({"text", "name"}): "name",
}
_MOST_SHARED_CODES = 20


def map_columns(entity: str, fed: dict[str, SourceGuess], reads: Reads) -> None:
    """Gives every source of an entity its fields; what is not mapped is written into its `left`."""
    referred: dict[str, str] = {}
    for source in fed.values():
        _refer(entity, source, referred)
    for source in fed.values():
        _map(entity, source, referred, reads)
    _agree(fed)
    names = {name for source in fed.values() for name in source.fields}
    for source in fed.values():
        renamed = {allowed_field(name, entity, names): mapping for name, mapping in source.fields.items()}
        source.fields = renamed if len(renamed) == len(source.fields) else source.fields
    if not names:
        source = next(iter(fed.values()))
        column = source.stream.column(source.key.columns[0])
        source.fields["code"] = MappingGuess(column, Kind(), "the key, for there is nothing else", "keys stay text")


def _refer(entity: str, source: SourceGuess, referred: dict[str, str]) -> None:
    """Reference fields first: their names belong to one target each, over all sources of the entity."""
    for link in source.links:
        if link.same:
            continue
        name = reference(link.column, link.entity)
        if (entity, link.entity) == ("interaction", "contact") and name in OTHER_PEOPLE:
            name = "contact"
        if referred.get(name, link.entity) != link.entity or name in source.fields:
            name = free(snake(bare(link.column)), {*source.fields, *referred})
        referred[name] = link.entity
        column = source.stream.column(link.column)
        source.fields[name] = MappingGuess(column, Kind(type="ref"), link.why, f"keys of {link.entity}", link)


def _map(entity: str, source: SourceGuess, referred: dict[str, str], reads: Reads) -> None:
    used = {mapping.column.name for mapping in source.fields.values()} | {link.column for link in source.links}
    columns = [column for column in source.stream.columns if column.name not in used]
    in_country = any(canonical(column.name, entity) == "country" for column in columns)
    wanted = []
    for place, column in enumerate(columns):
        why = _left_out(source, column)
        if why:
            source.left.setdefault(why, []).append(column.name)
        else:
            name = canonical(column.name, entity)
            wanted.append((name != bare(column.name), -column.filled, place, name, column))
    given: dict[str, str] = {}
    for _, _, _, name, column in sorted(wanted, key=lambda item: item[:3]):
        own = name if name not in referred else f"{name[: LONGEST - 5]}_text"
        taken = {*source.fields, *referred, *given.values()}
        own = own if own not in taken else free(snake(bare(column.name)), taken)
        given[column.name] = own
    for column in columns:
        if column.name in given:
            name = given[column.name]
            found = guess(column, name, entity, reads, in_country=in_country)
            why = "its own name" if name == snake(column.name) else "by its name"
            source.fields[name] = MappingGuess(column, found.kind, why, found.why)


def _left_out(source: SourceGuess, column: Column) -> str:
    """Why no field takes the column; '' where one does."""
    if column.name in source.key.columns and len(source.key.columns) == 1:
        return "the key"
    if source.change and column.name == source.change.column:
        return "the time of the change"
    flag = {text.lower() for text in column.texts} <= TRUE | FALSE
    if source.deletion and column.name == source.deletion.column and flag:
        return "says what is deleted"
    if column.blank:
        return "blank in the sample"
    if column.name.startswith(_LOADERS):
        return "of the loader"
    if len(column.name) > 200:
        return "a name too long to write"
    return ""


def _agree(fed: dict[str, SourceGuess]) -> None:
    """One type per field: a column that cannot be read as the others are gets a field of its own."""
    by_field: dict[str, list[SourceGuess]] = defaultdict(list)
    for source in fed.values():
        for name in source.fields:
            by_field[name].append(source)
    for name, sources in by_field.items():
        mappings = [source.fields[name] for source in sources]
        kind = _common([mapping.kind for mapping in mappings if mapping.column.texts], mappings)
        for source in sources:
            mapping = source.fields[name]
            if _becomes(mapping, kind):
                source.fields[name] = replace(mapping, kind=_spelt_as(mapping.kind, kind))
            else:
                del source.fields[name]
                own = free(snake(f"{name}_{source.stream.system}"), {*source.fields, *by_field})
                source.fields[own] = replace(mapping, why=f"{mapping.why}; elsewhere `{name}` is a {kind.type}")


def _common(kinds: list[Kind], mappings: list[MappingGuess]) -> Kind:
    """The type that most filled cells have; the wider one of two that go together."""
    if not kinds:
        return mappings[0].kind
    weight = Counter[str]()
    for mapping in mappings:
        if mapping.column.texts:
            weight[mapping.kind.type] += mapping.column.filled
    types = frozenset(weight)
    if len(types) > 1 and types in _WIDER:
        scale = max((kind.scale for kind in kinds if kind.scale), default=None)
        return Kind.model_validate({"type": _WIDER[types], "scale": scale})
    if "text" in types and ("choice" in types or weight["text"] * 2 > weight.total()):
        return Kind()
    best = max((kind for kind in kinds), key=lambda kind: (weight[kind.type], kind.type))
    alike = [kind for kind in kinds if kind.type == best.type]
    if best.type == "choice":
        codes = sorted({code for kind in alike for code in kind.of or ()})
        return Kind(type="choice", of=tuple(codes)) if len(codes) <= _MOST_SHARED_CODES else Kind()
    if best.type == "decimal":
        return Kind(type="decimal", scale=max((kind.scale for kind in alike if kind.scale), default=None))
    if best.type == "phone":
        regions = Counter(kind.region for kind in alike if kind.region).most_common(1)
        return Kind(type="phone", region=regions[0][0] if regions else None)
    return best


def _becomes(mapping: MappingGuess, kind: Kind) -> bool:
    own = mapping.kind.type
    if own == kind.type or not mapping.column.texts or kind.type == "text":
        return own != "ref" or kind.type == "ref"
    return _WIDER.get(frozenset({own, kind.type})) == kind.type


def _spelt_as(own: Kind, field: Kind) -> Kind:
    """The field's type with the column's own spelling."""
    words = {"true_texts": own.true_texts, "false_texts": own.false_texts} if field.type == "boolean" else {}
    form = {"format": own.format} if field.type in ("date", "timestamp") else {}
    mark = {"decimal_mark": own.decimal_mark} if field.type in ("decimal", "integer") else {}
    bare_kind = field.model_copy(update={"format": None, "decimal_mark": None, "true_texts": (), "false_texts": ()})
    return bare_kind.model_copy(update={**words, **form, **mark})


def fields_of(entity: str, fed: dict[str, SourceGuess]) -> dict[str, FieldGuess]:
    """The fields of an entity, in the order in which its sources have them, the fullest source first."""
    found: dict[str, FieldGuess] = {}
    for source in sorted(fed.values(), key=lambda source: -len(source.fields)):
        for name, mapping in source.fields.items():
            if name in found:
                continue
            to = mapping.link.entity if mapping.link else None
            personal = entity in PEOPLE and (name in PERSONAL or mapping.kind.type in ("email", "phone"))
            held = [n for n, other in fed.items() if name in other.fields]
            others = f"; {len(held)} sources" if len(held) > 1 else ""
            found[name] = FieldGuess(mapping.kind, f"{mapping.kind_why}{others}", to, personal)
    return found
