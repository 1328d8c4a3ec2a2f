"""Publish: all conformed tables change in one atomic step, or none does.

Belongs here: candidates with holds applied, their difference from what is published, and the
writing of it. Does not: resolving values (`resolve`), judging them (`check`).

Reads: identity.affected, canonical.*, audit.held, audit.finding, identity.<entity>, identity.id, identity.move,
staged.*, steward.acceptance
Writes: conformed.* (all of them), audit.touched, identity.affected (emptied); then the file of conformed tables
Raises: PublicationBlocked when an expectation of severity `block` failed, or too many ids would change (`churn`)
"""
