"""Deliver: bring the open corrections into the tools, each at most once, and never over what is newer there.

Belongs here: the plan and its caps, the kill switch's reading, what is sent to which tool, what came back.
Does not: what is wanted, and what became of it (`correct`); a person's word (`steward`).

Reads: outbound.correction, outbound.permit, steward.acceptance, steward.switch, staged.<source>, landing.batch
Writes: outbound.attempt, outbound.permit; the states delivered, refused and superseded of outbound.correction
Raises: nothing of its own; what stops a system is a fault of its outcome
"""
