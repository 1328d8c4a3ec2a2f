"""Runs expectations with Great Expectations, on SQL: the only place that imports it, and only when called.

Belongs here: its context, its words, its faults. Does not: tables of findings (`findings`).

What is known about it (1.24): importing takes 5 to 10 s. One broken rule can break others that share
its query, so broken ones are asked again alone. The query that it offers for failing rows leaves out
the row condition and is a cross join for compound keys, so failing rows are selected from its
condition instead, and believed only if their number is the one that it counted. Its results and
messages hold values of rows: nothing but counts and the classes of errors leave this file.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sor_pipeline.check.suite import ROWS_QUERY, Expected, lasting
from sor_pipeline.engine.base import Engine
from sor_pipeline.ownership.suggest import did_you_mean

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.validator.validator import Validator

_COUNTS = {"catch_exceptions": True, "result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}}
_SEARCHED = ("regex", "regex_list")
_HARMLESS = re.compile(
    r"((?:Binder|Catalog|Parser) Error: [^\n]*|The column \"[^\"\n]*\"[^\n]* does not exist"
    r"|No provider found for [\w. ]+|\w+ metrics cannot be computed on column of type \w+)"
)
"""Messages that name columns, types and SQL, never a value of a row."""
_KIND = re.compile(r"\b([A-Z]\w+ Error|[A-Z]\w+(?:Exception|Error))\b")


@dataclass(frozen=True)
class Result:
    """What came of one expectation.

    `failed` counts rows where the expectation is about rows, else it is 0 or 1; a `broken` one (why it
    could not be evaluated) has not passed. `rows` selects `entity_id` of all failing rows, None where
    the expectation is not about rows. `query` is the same as text, empty where it may not be asked
    again without Great Expectations (`judged`). `told` is said instead of the usual message.
    """

    expected: Expected
    passed: bool
    checked: int
    failed: int
    broken: str = ""
    rows: sa.Select[str] | None = None
    query: str = ""
    told: str = ""


def validate(engine: Engine, table: sa.Table, expected: Sequence[Expected]) -> list[Result]:
    """Results in the order of `expected`; never raises for an expectation that is wrong."""
    with _quiet(), engine.lend() as lent:
        return _Suite(lent, table).results(expected)


def failing_rows(query: str) -> sa.FromClause:
    """The rows of a query that is kept as text; not `sa.text`, to which a colon in it would be a parameter."""
    return sa.table(sa.quoted_name(f"({query})", quote=False), sa.column("entity_id", sa.Text)).alias("failing")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """It logs and prints statements and values; what matters of it is in the results."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _Suite:
    """Great Expectations bound to one table."""

    def __init__(self, lent: sa.Engine, table: sa.Table) -> None:
        self.lent = lent
        self.table = table
        self.validator = self._validator()
        self.rows = self._count(sa.select(table))

    def _validator(self) -> Validator:
        from great_expectations.core.batch import Batch
        from great_expectations.execution_engine import SqlAlchemyExecutionEngine
        from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
        from great_expectations.validator.validator import Validator

        self.execution = SqlAlchemyExecutionEngine(engine=self.lent, create_temp_table=False)
        if self.execution.dialect_module is None:
            self.execution.dialect_module = importlib.import_module("sqlalchemy.dialects.postgresql")
        data = SqlAlchemyBatchData(
            self.execution, schema_name=self.table.schema, table_name=self.table.name, create_temp_table=False
        )
        validator = Validator(self.execution, batches=[Batch(data=data)])
        validator.metrics_calculator.show_progress_bars = False
        return validator

    def results(self, expected: Sequence[Expected]) -> list[Result]:
        found: dict[str, Result] = {}
        sound: dict[str, tuple[Expected, ExpectationConfiguration]] = {}
        for one in expected:
            configuration, fault = self._configuration(one)
            if configuration is None:
                found[one.name] = Result(one, False, 0, 1, fault)
            else:
                sound[one.name] = (one, configuration)
        reports = self._run([configuration for _, configuration in sound.values()])
        for name, (one, configuration) in sound.items():
            report = reports.get(name)
            if report is None or _faults(report):
                report = self._run([configuration]).get(name)
            found[name] = self._result(one, configuration, report)
        return [found[one.name] for one in expected]

    def _configuration(self, expected: Expected) -> tuple[ExpectationConfiguration | None, str]:
        """The expectation in its words, or what is wrong with the document's."""
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
        from great_expectations.expectations.registry import list_registered_expectation_implementations

        known = list_registered_expectation_implementations()
        if expected.type not in known:
            hint = did_you_mean(expected.type, known, "see its gallery of expectations")
            return None, f"Great Expectations knows no {expected.type}; {hint}"
        arguments = self._arguments(expected)
        configuration = ExpectationConfiguration(expected.type, arguments, {"expectation": expected.name})
        try:
            configuration.to_domain_obj()
        except Exception as error:  # whatever it raises is about the document's words: no row was read yet
            return None, f"its arguments are wrong: {' '.join(str(error).split())[:300]}"
        return configuration, ""

    def _arguments(self, expected: Expected) -> dict[str, Any]:
        """DuckDB's `~` matches whole values, theirs searches: the user's expressions are widened to search."""
        arguments = dict(expected.arguments)
        if expected.rule == "own" and self.lent.dialect.name == "duckdb":
            for name in _SEARCHED:
                if isinstance(arguments.get(name), str):
                    arguments[name] = _searching(arguments[name])
                elif isinstance(arguments.get(name), (list, tuple)):
                    arguments[name] = [_searching(str(regex)) for regex in arguments[name]]
        return arguments

    def _run(self, configurations: list[ExpectationConfiguration]) -> dict[str, ExpectationValidationResult]:
        """First pass: counts only. Reports by the name of the expectation; empty if all broke together."""
        try:
            reports = self.validator.graph_validate(configurations=configurations, runtime_configuration=dict(_COUNTS))
        except Exception as error:  # it does not guard all that its expectations do
            if len(configurations) > 1:
                return {}
            return {str(one.meta["expectation"]): _crashed(one, error) for one in configurations if one.meta}
        return {str(one.expectation_config.meta["expectation"]): one for one in reports if one.expectation_config}

    def _result(
        self, expected: Expected, configuration: ExpectationConfiguration, report: ExpectationValidationResult | None
    ) -> Result:
        faults = _faults(report) if report is not None else ["it gave no result"]
        if report is None or faults:
            return Result(expected, False, 0, 1, f"it could not be evaluated: {_reason(faults)}")
        counts: Mapping[str, Any] = report.result or {}
        checked = int(counts.get("element_count") or self.rows)
        if report.success:
            query = self._failing(expected, configuration, 0)[1] if lasting(expected) else ""
            return Result(expected, True, checked, 0, query=query)
        of_rows = counts.get("observed_value") if expected.type == ROWS_QUERY else counts.get("unexpected_count")
        failed = int(of_rows) if isinstance(of_rows, int) else 0
        rows, query = self._failing(expected, configuration, failed) if failed else (None, "")
        return Result(expected, False, checked, max(failed, 1), rows=rows, query=query)

    def _failing(
        self, expected: Expected, configuration: ExpectationConfiguration, failed: int
    ) -> tuple[sa.Select[str] | None, str]:
        """Second pass: selects the failing rows' ids, if as many as were counted; as text too, if that lasts."""
        try:
            rows = self._rows_of_query(expected) if expected.type == ROWS_QUERY else self._rows_of_map(configuration)
            text = self._text(rows) if rows is not None and lasting(expected) else ""
            if text:
                rows = sa.select(failing_rows(text).c.entity_id)
            return (rows, text) if rows is not None and self._count(rows) == failed else (None, "")
        except Exception:  # an expectation that cannot say which rows fail is treated as one about the table
            return None, ""

    def _text(self, rows: sa.Select[str]) -> str:
        """The select as text, empty where its values cannot be written into it."""
        try:
            text = str(rows.compile(dialect=self.lent.dialect, compile_kwargs={"literal_binds": True}))
        except (sa.exc.CompileError, NotImplementedError):
            return ""
        return "" if "%" in text and "format" in self.lent.dialect.paramstyle else text

    def _rows_of_query(self, expected: Expected) -> sa.Select[str]:
        query = sa.text(str(expected.arguments["unexpected_rows_query"]).format())
        failing = query.columns(sa.column("entity_id", sa.Text)).subquery("failing")
        return sa.select(failing.c.entity_id)

    def _rows_of_map(self, configuration: ExpectationConfiguration) -> sa.Select[str] | None:
        from great_expectations.expectations.metrics.map_metric_provider.is_sqlalchemy_metric_selectable import (
            SQLALCHEMY_SELECTABLE_METRICS,
        )
        from great_expectations.expectations.registry import get_metric_kwargs
        from great_expectations.validator.metric_configuration import MetricConfiguration

        metric = getattr(configuration.to_domain_obj(), "map_metric", None)
        if metric is None:
            return None
        words: Any = get_metric_kwargs(f"{metric}.condition", configuration, {})
        domain = words["metric_domain_kwargs"]
        identifier: sa.ColumnElement[str] = sa.column("entity_id", sa.Text)
        if metric == "column_values.unique":
            return sa.select(identifier).where(*self._shared(domain)).select_from(self._domain(domain))
        condition, compute, accessor = self.validator.get_metric(
            MetricConfiguration(f"{metric}.condition", domain, words["metric_value_kwargs"])
        )
        rows = sa.select(identifier).where(condition)
        if metric in SQLALCHEMY_SELECTABLE_METRICS:
            return rows
        return rows.select_from(self._domain({**compute, **accessor}))

    def _shared(self, domain: Mapping[str, Any]) -> tuple[sa.ColumnElement[bool], ...]:
        """All rows that share a value, not all but one."""
        value: sa.ColumnElement[object] = sa.column(domain["column"])
        several = sa.select(value).select_from(self._domain(domain)).group_by(value).having(sa.func.count() > 1)
        return value.is_not(None), value.in_(several)

    def _domain(self, domain: Mapping[str, Any]) -> sa.FromClause:
        """The rows that an expectation is about: the table, less what its row condition leaves out."""
        records: Any = self.execution.get_domain_records(domain_kwargs=dict(domain))
        return records.subquery() if isinstance(records, sa.Select) else records

    def _count(self, rows: sa.Select[Any]) -> int:
        with self.lent.connect() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(rows.subquery("counted"))).scalar_one()
            )


def _searching(regex: str) -> str:
    return f"(?s:.*)(?:{regex})(?s:.*)"


def _crashed(configuration: ExpectationConfiguration, error: Exception) -> ExpectationValidationResult:
    from great_expectations.core import ExpectationValidationResult

    info = {"raised_exception": True, "exception_message": f"{type(error).__name__}: {error}"}
    return ExpectationValidationResult(success=False, exception_info=info, expectation_config=configuration)


def _faults(report: ExpectationValidationResult) -> list[str]:
    """Messages of what it raised: its exception_info is one exception, or one per metric."""
    info: Any = report.exception_info or {}
    if "raised_exception" in info:
        return [str(info.get("exception_message"))] if info["raised_exception"] else []
    return [str(one.get("exception_message") if isinstance(one, dict) else one) for one in info.values()]


def _reason(faults: Sequence[str]) -> str:
    """What can be said of an error without repeating a value of a row."""
    text = "\n".join(faults)
    harmless = _HARMLESS.search(text)
    if harmless:
        return harmless.group(1).strip()[:300]
    kind = _KIND.search(text)
    return kind.group(1) if kind else "an error whose message may hold values, and is not repeated"
