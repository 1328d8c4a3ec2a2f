"""Correct: tell each system what it must change to agree with what is published.

Belongs here: the comparison of a target's claims with the published values, the target's own
representation of a value, the state of each correction, the files for the systems.
Does not: writing into a system; deciding what is right (`resolve`).

Reads: conformed.*, canonical.*, staged.<source> and staged.reject, identity.*, audit.held, outbound.attempt,
  steward.case
Writes: outbound.correction, outbound.broken, outbound.state, outbound.wait; the files of the outbox
Raises: nothing of its own
"""
