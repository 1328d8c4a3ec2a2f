"""Comparisons by kind of field, from "the same" down to "different".

Belongs here: what counts as a typo, a nickname, a changed address. Does not: the columns that are
tested (`features`), what the data say a level is worth (`learning`).
"""

from __future__ import annotations

from sor_pipeline.identify.similar.levels import ELSE, Comparison, Level
from sor_pipeline.identify.similar.plan import Part, Plan


def comparisons(plan: Plan) -> tuple[Comparison, ...]:
    return tuple(_OF[part.kind](part, plan) for part in plan.parts)


def _given(part: Part, plan: Plan) -> Comparison:
    v, crossed = f"{part.name}__v", _swapped(part, plan.first("family"))
    initial = ("or", *(("lead", a, b) for a, b in _both(f"{part.name}__lone", f"{part.name}__initial")))
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.70, 0.01),
            Level("nickname", ("overlap", f"{part.name}__set"), 0.06, 0.004),
            *crossed,
            Level(
                "one letter off",
                ("or", ("edits", v, 1), ("alike", v, 0.94), ("same", f"{part.name}__letters")),
                0.10,
                0.003,
            ),
            Level("initial only", initial, 0.04, 0.01),
            Level("alike", ("or", ("alike", v, 0.8), ("edits", f"{part.name}__long", 2)), 0.04, 0.02, agrees=False),
            Level("different", ELSE, 0.04, 0.95, agrees=False, differs=True),
        ),
        (v,),
        v,
    )


def _family(part: Part, plan: Plan) -> Comparison:
    v, crossed = f"{part.name}__v", _swapped(part, plan.first("given"))
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.80, 0.005),
            *crossed,
            Level(
                "one letter off",
                ("or", ("edits", v, 1), ("alike", v, 0.94), ("same", f"{part.name}__letters")),
                0.10,
                0.002,
            ),
            Level("one part the same", ("overlap", f"{part.name}__set"), 0.02, 0.002),
            Level("alike", ("alike", v, 0.8), 0.03, 0.02, agrees=False),
            Level("different", ELSE, 0.05, 0.95, agrees=False),
        ),
        (v,),
        v,
    )


def _swapped(part: Part, other: Part | None) -> list[Level]:
    """One's given name is the other's family name: enough, for the rest may be mistyped or missing."""
    if other is None:
        return []
    ways = (("lead", one, its) for one, its in _both(f"{part.name}__v", f"{other.name}__v"))
    return [Level("swapped", ("or", *ways), 0.02, 0.0005)]


def _person(part: Part, _: Plan) -> Comparison:
    n = part.name
    same_last = ("same", f"{n}__last")
    initial = ("or", *(("lead", a, b) for a, b in _both(f"{n}__lone", f"{n}__initial")))
    return Comparison(
        part,
        (
            Level("same", ("same", f"{n}__v"), 0.62, 0.0002),
            Level("same words in another order", ("same", f"{n}__sorted"), 0.05, 0.0001),
            Level("nickname", ("and", same_last, ("overlap", f"{n}__set")), 0.08, 0.0001),
            Level("initial only", ("and", same_last, initial), 0.03, 0.0001),
            Level("alike", ("alike", f"{n}__v", 0.94), 0.12, 0.0005),
            Level("family name only", same_last, 0.03, 0.005, agrees=False, differs=True),
            Level("different", ELSE, 0.07, 0.99, agrees=False, differs=True),
        ),
        (f"{n}__v",),
        f"{n}__v",
    )


def _company(part: Part, _: Plan) -> Comparison:
    core = f"{part.name}__core"
    return Comparison(
        part,
        (
            Level("same but for the legal form", ("same", core), 0.72, 0.0002),
            Level("same words in another order", ("same", f"{part.name}__sorted"), 0.03, 0.0001),
            Level("one or two letters off", ("or", ("edits", core, 1), ("alike", core, 0.95)), 0.10, 0.0005),
            Level("one holds the other", ("within", f"{part.name}__set"), 0.06, 0.001),
            Level("alike", ("alike", core, 0.88), 0.04, 0.01, agrees=False),
            Level("different", ELSE, 0.05, 0.99, agrees=False),
        ),
        (core,),
        core,
    )


def _email(part: Part, _: Plan) -> Comparison:
    """Most addresses are made of names, which are compared already: only what else is in them is news."""
    n, v = part.name, f"{part.name}__v"
    near = ("and", ("edits", v, 2), ("same", f"{n}__digits"))
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.65, 0.00002),
            Level("same before the @", ("same", f"{n}__local"), 0.06, 0.00005),
            Level("one or two letters off", near, 0.09, 0.00005),
            Level("same name before the @", ("same", f"{n}__whole"), 0.0, 0.0, agrees=False, silent=True),
            Level("different", ELSE, 0.20, 0.99, agrees=False),
        ),
        (v,),
        v,
    )


def _phone(part: Part, _: Plan) -> Comparison:
    v = f"{part.name}__v"
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.65, 0.00002),
            Level("same last seven digits", ("same", f"{part.name}__tail"), 0.04, 0.00002),
            Level("one digit off", ("edits", v, 1), 0.06, 0.00005),
            Level("different", ELSE, 0.25, 0.99, agrees=False),
        ),
        (v,),
        v,
    )


def _date(part: Part, _: Plan) -> Comparison:
    v, turned = f"{part.name}__v", f"{part.name}__turned"
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.80, 0.0001),
            Level("day and month exchanged", ("crossed", v, turned), 0.03, 0.0001),
            Level("one digit off", ("edits", v, 1), 0.09, 0.0008),
            Level("two digits off", ("edits", v, 2), 0.03, 0.01, agrees=False, hints=True),
            Level("same year", ("same", f"{part.name}__year"), 0.02, 0.015, agrees=False, differs=True),
            Level("different", ELSE, 0.03, 0.97, agrees=False, differs=True),
        ),
        (v,),
        v,
    )


def _address(part: Part, _: Plan) -> Comparison:
    n = part.name
    street, number, postal, city = (f"{n}__{end}" for end in ("street", "number", "postal", "city"))
    town = ("or", ("same", postal), ("same", city))
    levels: list[Level] = []
    if part.of("street"):
        levels = [
            Level("same street and town", ("and", ("same", street), town), 0.50, 0.0001),
            Level(
                "street alike, same number and town",
                ("and", ("same", number), ("alike", street, 0.88), town),
                0.12,
                0.0001,
            ),
            Level("same street", ("same", street), 0.05, 0.0002),
        ]
    if part.of("postal"):
        levels.append(Level("same postal code", ("same", postal), 0.12, 0.003))
    if part.of("street"):
        levels.append(Level("street alike", ("and", ("same", number), ("alike", street, 0.88)), 0.03, 0.001))
    if part.of("city"):
        levels.append(Level("same town", ("same", city), 0.08 if levels else 0.7, 0.03, agrees=False))
        if part.kinds == ("city",):
            levels.append(Level("town alike", ("alike", city, 0.85), 0.15, 0.01, agrees=False))
    levels.append(Level("different", ELSE, 0.10, 0.95, agrees=False))
    lines = [end for kind, end in (("street", street), ("postal", postal), ("city", city)) if part.of(kind)]
    frequent = city if part.kinds == ("city",) else None
    return Comparison(part, tuple(levels), tuple(lines) or (street,), frequent)


def _domain(part: Part, _: Plan) -> Comparison:
    v = f"{part.name}__v"
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.80, 0.0005),
            Level("same before the last dot", ("same", f"{part.name}__stem"), 0.05, 0.0005),
            Level("different", ELSE, 0.15, 0.999, agrees=False),
        ),
        (v,),
        v,
    )


def _text(part: Part, _: Plan) -> Comparison:
    v = f"{part.name}__v"
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.70, 0.01),
            Level("alike", ("or", ("edits", v, 1), ("alike", v, 0.92)), 0.12, 0.005),
            Level("different", ELSE, 0.18, 0.98, agrees=False),
        ),
        (v,),
        v,
    )


def _id(part: Part, _: Plan) -> Comparison:
    v = f"{part.name}__v"
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.85, 0.00001),
            Level("one character off", ("edits", v, 1), 0.07, 0.00005, agrees=False, hints=True),
            Level("different", ELSE, 0.08, 0.999, agrees=False),
        ),
        (v,),
    )


def _number(part: Part, _: Plan) -> Comparison:
    v = f"{part.name}__v"
    near = [Level("within tolerance", ("near", v, part.tolerance), 0.05, 0.01)] if part.tolerance else []
    return Comparison(
        part,
        (
            Level("same", ("same", v), 0.80, 0.05),
            *near,
            Level("different", ELSE, 0.15, 0.94, agrees=False),
        ),
        (v,),
    )


def _exact(part: Part, _: Plan) -> Comparison:
    """A country or a code is shared by too many to corroborate a name."""
    v = f"{part.name}__v"
    tested = (Level("same", ("same", v), 0.90, 0.2, agrees=False), Level("different", ELSE, 0.10, 0.8, agrees=False))
    return Comparison(part, tested, (v,), v)


def _ref(part: Part, _: Plan) -> Comparison:
    """Keys of two systems cannot be compared, whatever they are."""
    v = f"{part.name}__v"
    tested = (Level("same", ("same", v), 0.85, 0.02), Level("different", ELSE, 0.15, 0.98, agrees=False))
    return Comparison(part, tested, (v,), v, only_if=f"{part.name}__of")


def _mark(part: Part, _: Plan) -> Comparison:
    v = f"{part.name}__v"
    tested = (Level("same", ("same", v), 0.97, 0.5), Level("different", ELSE, 0.03, 0.5, agrees=False, differs=True))
    return Comparison(part, tested, (v,))


def _both(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one, other), (other, one)


_OF = {
    "given": _given, "family": _family, "person": _person, "company": _company, "email": _email, "phone": _phone,
    "date": _date, "address": _address, "domain": _domain, "text": _text, "id": _id, "number": _number,
    "exact": _exact, "ref": _ref, "mark": _mark, "region": _exact,
}  # fmt: skip
"""Comparison by kind of part."""
