"""The asset of the scorecard: the page that people read, made when everything else is.

Belongs here: one asset and what Dagster shows of it. Does not: the page (`page`).
"""

import importlib.util

import dagster as dg

from sor_pipeline.defs import keys
from sor_pipeline.defs.workplace import Workplace
from sor_pipeline.observe.report import answers
from sor_pipeline.page.scorecard import headline, write


def report_assets() -> list[dg.AssetsDefinition]:
    """The scorecard; none where the extra `report` is not installed, for a run must not fail for a picture."""
    return [_scorecard()] if importlib.util.find_spec("vl_convert") else []


def _scorecard() -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.SCORECARD,
        deps=[keys.observed()],
        group_name=keys.REPORT,
        description="One page: which systems agree, where they disagree, who must act. The same as `sor report`.",
        kinds={"html"},
        pool=keys.POOL,
    )
    def scorecard(
        context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]
    ) -> dg.MaterializeResult[None]:
        with workplace.opened(context) as run:
            found = answers(run)
            file = write(run, found=found)
        said = headline(found)
        lines = [f"- **{one['value']}** {one['what']} ({one['note']})" for one in said]
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(file.absolute().as_uri()),
                "path": dg.MetadataValue.path(str(file)),
                "bytes": file.stat().st_size,
                "headline": dg.MetadataValue.md("\n".join(lines)),
            }
        )

    return scorecard
