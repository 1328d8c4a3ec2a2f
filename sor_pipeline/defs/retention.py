"""What Dagster itself never forgets: old runs, with their events and logs.

Belongs here: the job that deletes them, and its schedule. Does not: ticks (`retention` in `dagster.yaml`), and
nothing of the warehouse: its history is the company's.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.event_log.base import AssetEntry  # has no public name

FORGET = "forget_old_runs"
KEEP_DAYS = 90
_AT_ONCE = 100
_OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class Keeping(dg.Config):
    """`keep_days`: runs that ended longer ago are deleted."""

    keep_days: int = KEEP_DAYS


@dg.op
def forget(context: dg.OpExecutionContext, config: Keeping) -> None:
    """Delete runs that are over, but for those that last made an asset: its page would forget them."""
    before = datetime.now(UTC) - timedelta(days=max(config.keep_days, 1))
    forgotten = forget_before(context.instance, before)
    context.log.info(f"{forgotten} runs forgotten that were made before {before:%Y-%m-%d}")


def forget_before(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete runs that are over and were made before a moment. Returns how many."""
    kept = {run for record in instance.get_asset_records() for run in _made_by(record.asset_entry)}
    old = dg.RunsFilter(statuses=_OVER, created_before=before)
    forgotten, cursor = 0, None
    while runs := instance.get_runs(filters=old, limit=_AT_ONCE, cursor=cursor):
        for run in runs:
            if run.run_id not in kept:
                instance.compute_log_manager.delete_logs(prefix=[run.run_id])
                instance.delete_run(run.run_id)
                forgotten += 1
            else:
                cursor = run.run_id
    return forgotten


def _made_by(entry: AssetEntry) -> set[str | None]:
    last = entry.last_materialization_record
    return {entry.last_run_id, last.run_id if last else None}


def retention_job() -> dg.JobDefinition:
    """The job, in one process."""

    @dg.job(
        name=FORGET,
        executor_def=dg.in_process_executor,
        description=f"Deletes runs of Dagster, with events and logs, that ended more than {KEEP_DAYS} days ago "
        "(`keep_days` in the op's configuration). Touches no table of the warehouse.",
    )
    def forget_old_runs() -> None:
        forget()

    return forget_old_runs


def retention_schedule() -> dg.ScheduleDefinition:
    """Sundays at three (UTC). Switched off until somebody switches it on."""
    return dg.ScheduleDefinition(
        name=f"{FORGET}_weekly", job_name=FORGET, cron_schedule="0 3 * * 0", execution_timezone="UTC"
    )
