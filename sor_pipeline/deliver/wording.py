"""Why a system got nothing, in words.

Belongs here: the faults of delivering. Does not: deciding anything.
"""

from __future__ import annotations

from sor_pipeline.deliver.connector import Denied, Doubted, Halted, Limited, Misdirected, Stopped
from sor_pipeline.deliver.plan import Plan, subject_of
from sor_pipeline.errors import Fault
from sor_pipeline.ownership.target import Target
from sor_pipeline.settings import STOP_DELIVERY


def over_cap(plan: Plan, target: Target) -> Fault:
    """The plan is larger than may go without a person's word."""
    return Fault(
        "delivery-over-cap",
        plan.system,
        f"nothing was sent: the plan {plan.name} would change more records than one delivery may",
        plan.over,
        f"at most {target.max_rows:,} records, and {target.max_share:.0%} of each source's",
        f"look at it with `sor deliver {plan.system} --plan`; if it is right: "
        f"sor accept {subject_of(plan)} --reason '...'",
    )


def halted(system: str, target: Target, halt: Halted, left: int) -> Fault:
    """The system takes nothing more in this run."""
    what, expected, todo = _told(system, target, halt)
    return Fault(halt.code, system, f"{what}; {left:,} corrections wait", halt.status, expected, todo)


def _told(system: str, target: Target, halt: Halted) -> tuple[str, str, str]:
    match halt:
        case Stopped():
            return "delivery is stopped", "a switch that is on", _restart(system, halt.status)
        case Denied(status="missing"):
            return "the secret is not set", f"a value in {target.secret}", f"set {target.secret} where `sor` runs"
        case Denied(status="unusable"):
            what = f"the secret in {target.secret} cannot be sent: it holds a line break, or letters beyond ASCII"
            return what, "a secret as the tool gave it", f"copy it into {target.secret} again"
        case Doubted():
            what = "the tool refuses one record after the other alike, and took none: nothing is believed refused"
            todo = f"compare the target of {system}, its paths, and `object` and `id` of its sources with the tool"
            return what, "at least one record that it knows", todo
        case Denied():
            todo = f"put a good one into {target.secret}, and see to its rights in the tool"
            return f"the tool does not take the secret in {target.secret}", "a secret that may read and write", todo
        case Limited():
            return "the tool's limit of requests is used up", "room for more", "nothing: the next run goes on"
        case Misdirected():
            todo = "correct `url` and `hosts` of the target; redirections are never followed"
            return "the tool would be asked somewhere that is not allowed", "an address among `hosts`", todo
        case _:
            return (
                "the tool does not answer as it should",
                "an answer",
                "see whether it works; the next run tries again",
            )


def _restart(system: str, where: str) -> str:
    if where == "environment":
        return f"take it out of {STOP_DELIVERY}"
    return f"when all is well: sor target start {system} --reason '...'"
