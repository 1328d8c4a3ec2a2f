"""HR, shaped like BambooHR's employee report: a compressed CSV snapshot with American dates.

Belongs here: what HR believes and how it spells it. Does not: what changes (`days`).
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.demo.clock import before, dice
from sor_pipeline.demo.company import Company, phone
from sor_pipeline.demo.tools.spell import at, national, plain
from sor_pipeline.demo.tools.stream import Stream, state


def number(column: str) -> pl.Expr:
    """Employee number, as `E-0042`."""
    return "E-" + (pl.col(column) + 1).cast(pl.String).str.zfill(4)


def _employees(company: Company) -> pl.DataFrame:
    roll, staff = dice(company.seed, "bamboohr.employees"), company.employees
    return state(
        staff.with_columns(age=before(roll, staff.height, 400, 2), call=phone(3, staff.height)),
        number("truth"),
        pl.col("age"),
        {
            **{n: pl.col(n) for n in ("first_name", "last_name", "email", "job_title", "department")},
            "phone": pl.col("call"),
            "manager": pl.when(pl.col("manager") >= 0).then(number("manager")),
            "hired_on": pl.col("hired_on").dt.strftime("%Y-%m-%d"),
            "active": pl.lit("true"),
        },
    )


def _show_employees(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    hired = pl.col("hired_on").str.to_date("%Y-%m-%d").dt.strftime("%m/%d/%Y")
    return rows.select(
        **{
            "Employee #": pl.col("key"),
            "First Name": plain("first_name"),
            "Last Name": plain("last_name"),
            "Work Email": plain("email"),
            "Work Phone": national("phone"),
            "Job Title": plain("job_title"),
            "Department": plain("department"),
            "Reporting to": plain("manager"),
            "Hire Date": hired,
            "Status": pl.when(pl.col("active") == "true").then(pl.lit("Active")).otherwise(pl.lit("Inactive")),
            "Last Changed": at("changed", "%Y-%m-%dT%H:%M:%S+00:00"),
        }
    )


STREAMS = (
    Stream(
        "bamboohr.employees",
        "employee",
        "bamboohr/employees-{date}.csv.zst",
        "snapshot",
        "Employee #",
        _employees,
        _show_employees,
        "Last Changed",
    ),
)
