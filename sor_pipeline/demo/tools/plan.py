"""The spreadsheet: the sales team's territory plan, kept by hand in Excel, with people's spellings.

Belongs here: what the plan says and how people type it. Does not: what changes (`days`).
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.demo.company import Company
from sor_pipeline.demo.tools.bamboohr import number
from sor_pipeline.demo.tools.hubspot import company_key
from sor_pipeline.demo.tools.spell import coded, plain
from sor_pipeline.demo.tools.stream import Stream, state

SEGMENT = {"enterprise": "Enterprise", "mid_market": "Mid-Market", "smb": "SMB", "public": "Public sector"}
SEGMENT_ALSO = {"enterprise": "ENT", "mid_market": "mid market", "smb": "Small business", "public": "Public"}
TERRITORY = {
    "north_america": "North America",
    "dach": "DACH",
    "uk_ireland": "UK & Ireland",
    "rest_of_europe": "Rest of Europe",
}
HOME = {"US": "north_america", "DE": "dach", "AT": "dach", "GB": "uk_ireland", "FR": "rest_of_europe"}


def _accounts(company: Company) -> pl.DataFrame:
    planned = company.accounts.filter("is_planned").with_columns(manager_sales=pl.col("manager") // 5 * 5)
    return state(
        planned,
        pl.lit("TP-") + (pl.col("truth") + 1).cast(pl.String).str.zfill(5),
        pl.lit(None, pl.Datetime("us")),
        {
            "crm": company_key("truth"),
            "name": pl.col("name"),
            "segment": pl.col("segment"),
            "territory": pl.col("country").replace_strict(HOME),
            "account_manager": pl.when(pl.col("truth") % 11 == 0)
            .then(number("manager"))
            .otherwise(number("manager_sales")),
            "headcount": pl.when(pl.col("truth") % 3 != 1).then(
                (pl.col("headcount") + 40 - pl.col("truth") % 80).clip(1).cast(pl.String)
            ),
            "key_account": pl.when(pl.col("truth") % 9 == 0)
            .then(pl.lit("true"))
            .when(pl.col("truth") % 9 < 7)
            .then(pl.lit("false")),
        },
    )


def _show_accounts(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    also = pl.when(pl.col("truth") % 3 == 0).then(coded("segment", SEGMENT_ALSO)).otherwise(coded("segment", SEGMENT))
    return rows.select(
        **{
            "Plan No.": pl.col("key"),
            "CRM ID": plain("crm"),
            "Account": plain("name"),
            "Segment": also,
            "Territory": coded("territory", TERRITORY),
            "Account Manager (No.)": plain("account_manager"),
            "Headcount": plain("headcount"),
            "Key account?": coded("key_account", {"true": "yes", "false": "no"}),
        }
    )


STREAMS = (
    Stream(
        "plan.accounts",
        "account",
        "plan/territories-{date}.xlsx",
        "snapshot",
        "Plan No.",
        _accounts,
        _show_accounts,
        typed={"Headcount": "int"},
    ),
)
