"""From the comparable forms of one record to what comparisons and blocking look at; each record by itself.

Belongs here: every derived column, in whole columns. Does not: any pair.

`RECIPES` changes when a record gives other columns than before: models and blocking keys are made anew.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from sor_pipeline.identify.similar.nicknames import stands_for
from sor_pipeline.identify.similar.plan import NAMES, PERSONAL, Part, Plan
from sor_pipeline.identify.similar.spellings import GENERATIONS, LEARNED, LEGAL_FORMS, STREETS, TITLES

RECIPES = 2
GENERATION, SEX = "_generation", "_sex"
"""What a name carries besides the name: `jr`, `sr`, `2` to `4`; `f` or `m`."""


def features(raw: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Grain: one record, as in `raw` (node, source, source_key, `<field>__raw` as text or null)."""
    frame = raw
    for part in plan.parts:
        if part.kind != "email":
            frame = _OF.get(part.kind, _plain)(frame, part)
    for part in plan.parts:
        if part.kind == "email":
            frame = _email(frame, part, plan)
    frame = _carried(frame, plan)
    given, family = plan.first("given"), plan.first("family")
    if given and family:
        one, other = pl.col(f"{given.name}__v"), pl.col(f"{family.name}__v")
        both = pl.concat_str(pl.min_horizontal(one, other), pl.max_horizontal(one, other), separator=" ")
        frame = frame.with_columns(pl.when(one.is_not_null() & other.is_not_null()).then(both).alias(NAMES))
    return frame.drop(f"{field}__raw" for field in plan.fields)


def _raw(field: str) -> pl.Expr:
    return pl.col(f"{field}__raw")


def _words(text: pl.Expr) -> pl.Expr:
    """Letters and digits, single-spaced; null where nothing is left."""
    plain = text.str.replace_all(r"['’`´]", "").str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()
    return pl.when(plain != "").then(plain)


def _any(words: tuple[str, ...]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


_TITLED = f"^(?:(?:{_any((*TITLES['m'], *TITLES['f'], *LEARNED))}) )+"
_NUMBERED = f"(?: (?:{_any(tuple(GENERATIONS))}))+$"


def _bare(text: pl.Expr) -> pl.Expr:
    """A person's name without titles and generation; what consists of nothing else stays."""
    return _words(text).str.replace(_TITLED, "").str.replace(_NUMBERED, "")


def _meanings(frame: pl.DataFrame, names: str, column: str, known: str) -> pl.DataFrame:
    """Adds the list of names that the first word of `names` may stand for, and whether it is a known name."""
    first = pl.col(names).str.split(" ").list.first()
    joined = frame.with_columns(first.alias("_first")).join(
        stands_for(), left_on="_first", right_on="name", how="left", maintain_order="left"
    )
    own = pl.when(pl.col("_first").is_not_null()).then(pl.concat_list("_first"))
    return joined.with_columns(
        pl.coalesce("stands_for", own).alias(column), pl.col("stands_for").is_not_null().alias(known)
    ).drop("_first", "stands_for")


def _initials(frame: pl.DataFrame, names: pl.Expr, part: Part) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(names.str.len_chars() == 1).then(names).alias(f"{part.name}__lone"),
        names.str.slice(0, 1).alias(f"{part.name}__initial"),
    )


def _given(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    v = f"{part.name}__v"
    frame = frame.with_columns(_bare(_raw(part.fields[0])).alias(v))
    frame = frame.with_columns(
        _letters(pl.col(v)).alias(f"{part.name}__letters"),
        pl.when(pl.col(v).str.len_chars() > 4).then(pl.col(v)).alias(f"{part.name}__long"),
    )
    frame = _initials(frame, pl.col(v), part)
    return _meanings(frame, v, f"{part.name}__set", f"{part.name}__known")


def _family(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    text = _raw(part.fields[0])
    parts = _bare(text).str.split(" ").list.eval(pl.element().filter(pl.element().str.len_chars() > 2))
    return frame.with_columns(
        _bare(text).alias(f"{part.name}__v"), parts.alias(f"{part.name}__set"),
        _letters(_bare(text)).alias(f"{part.name}__letters"),
    )  # fmt: skip


def _letters(text: pl.Expr) -> pl.Expr:
    """The letters in their order of the alphabet, of texts long enough that this is no accident."""
    return pl.when(text.str.len_chars() > 3).then(text.str.split("").list.sort().list.join(""))


def _person(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    n, text = part.name, _raw(part.fields[0])
    turned = pl.when(text.str.contains(",", literal=True)).then(text.str.replace(r"^([^,]+),\s*(.+)$", "${2} ${1}"))
    frame = frame.with_columns(_bare(pl.coalesce(turned, text)).alias(f"{n}__v"))
    words = pl.col(f"{n}__v").str.split(" ")
    frame = frame.with_columns(
        words.list.sort().list.join(" ").alias(f"{n}__sorted"),
        pl.when(words.list.len() > 1).then(words.list.last()).alias(f"{n}__last"),
    )
    frame = _initials(frame, words.list.first(), part)
    return _meanings(frame, f"{n}__v", f"{n}__set", f"{n}__known")


def _company(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    n = part.name
    plain = _words(_raw(part.fields[0]).str.replace_all(r"\s*[&+]\s*", " und "))
    core = plain.str.replace("^the ", "").str.replace(f"(?: (?:und|{_any(LEGAL_FORMS)}))+$", "")
    words = core.str.split(" ")
    return frame.with_columns(
        core.alias(f"{n}__core"), words.list.sort().list.join(" ").alias(f"{n}__sorted"),
        words.list.unique().list.sort().alias(f"{n}__set"),
        pl.when(words.list.first().str.len_chars() > 3).then(words.list.first()).alias(f"{n}__head"),
    )  # fmt: skip


_NAMED = {"given": ("v",), "family": ("v",), "person": ("last",)}
"""Columns of names that addresses are made of."""


def _email(frame: pl.DataFrame, part: Part, plan: Plan) -> pl.DataFrame:
    """`whole`: what stands before the @; `local`: the same where it holds more than the record's own names."""
    n, v = part.name, _raw(part.fields[0])
    whole = v.str.split("@").list.first().str.split("+").list.first()
    letters = whole.str.replace_all(r"[^\p{L}]", "")
    rest = letters.str.len_chars().cast(pl.Int64)
    for name in (f"{one.name}__{end}" for one in plan.parts for end in _NAMED.get(one.kind, ())):
        held = letters.str.contains(pl.col(name), literal=True).fill_null(value=False)
        rest -= pl.when(held).then(pl.col(name).str.len_chars().cast(pl.Int64)).otherwise(0)
    digits = whole.str.replace_all(r"[^0-9]", "")
    telling = (digits != "") | (rest > 3)
    return frame.with_columns(
        v.alias(f"{n}__v"),
        whole.alias(f"{n}__whole"),
        digits.alias(f"{n}__digits"),
        pl.when(telling).then(whole).alias(f"{n}__local"),
    )


def _phone(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    digits = _raw(part.fields[0]).str.replace_all(r"[^0-9]", "")
    return frame.with_columns(
        digits.alias(f"{part.name}__v"),
        pl.when(digits.str.len_chars() > 6).then(digits.str.slice(-7)).alias(f"{part.name}__tail"),
    )


def _date(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    digits = _raw(part.fields[0]).str.slice(0, 10).str.replace_all("-", "", literal=True)
    year, month, day = digits.str.slice(0, 4), digits.str.slice(4, 2), digits.str.slice(6, 2)
    return frame.with_columns(
        digits.alias(f"{part.name}__v"), (year + day + month).alias(f"{part.name}__turned"),
        year.alias(f"{part.name}__year"),
    )  # fmt: skip


def _address(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    n = part.name
    lines = pl.concat_str(
        [_raw(field) for field in part.of("street")] or [pl.lit("")], separator=" ", ignore_nulls=True
    )
    street = pl.lit(" ") + _words(lines.str.to_lowercase()) + pl.lit(" ")
    for long, short in STREETS.items():
        street = street.str.replace_all(f" {long} ", f" {short} ", literal=True)
    street = street.str.strip_chars()

    def only(kind: str) -> pl.Expr:
        named = part.of(kind)
        return _words(_raw(named[0]).str.to_lowercase()) if named else pl.lit(None, pl.String)

    return frame.with_columns(
        street.alias(f"{n}__street"), street.str.extract(r"\b(\d+)\b").alias(f"{n}__number"),
        only("postal").str.replace_all(" ", "", literal=True).alias(f"{n}__postal"), only("city").alias(f"{n}__city"),
    )  # fmt: skip


def _domain(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    host = _raw(part.fields[0]).str.replace(r"^[a-z]+://", "").str.replace(r"^www\.", "").str.replace(r"[/:?#].*$", "")
    return frame.with_columns(
        host.alias(f"{part.name}__v"), host.str.replace(r"\.[^.]+$", "").alias(f"{part.name}__stem")
    )


def _ref(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    """`source:key`, as `records` writes it."""
    text = _raw(part.fields[0])
    return frame.with_columns(text.alias(f"{part.name}__v"), text.str.extract(r"^([^:]*):").alias(f"{part.name}__of"))


def _number(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    number = _raw(part.fields[0]).cast(pl.Float64, strict=False)
    return frame.with_columns(pl.when(number.is_finite()).then(number).alias(f"{part.name}__v"))


def _text(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    return frame.with_columns(_words(_raw(part.fields[0])).alias(f"{part.name}__v"))


def _plain(frame: pl.DataFrame, part: Part) -> pl.DataFrame:
    return frame.with_columns(_raw(part.fields[0]).alias(f"{part.name}__v"))


def _carried(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Generation and sex, from whichever name says so first."""
    names = [_words(_raw(part.fields[0])) for part in plan.parts if part.kind in PERSONAL]
    nothing = pl.lit(None, pl.String)
    generations = [name.str.extract(f" ({_any(tuple(GENERATIONS))})$").replace(GENERATIONS) for name in names]
    titles = [
        pl.when(name.str.contains(f"^(?:{_any(words)}) ")).then(pl.lit(sex))
        for name in names
        for sex, words in TITLES.items()
    ]
    return frame.with_columns(
        pl.coalesce(*generations, nothing).alias(GENERATION), pl.coalesce(*titles, nothing).alias(SEX)
    )


_OF: dict[str, Callable[[pl.DataFrame, Part], pl.DataFrame]] = {
    "given": _given, "family": _family, "person": _person, "company": _company, "phone": _phone,
    "date": _date, "address": _address, "domain": _domain, "ref": _ref, "number": _number, "text": _text,
}  # fmt: skip
"""Columns by kind of part; any other kind is compared as it is."""
