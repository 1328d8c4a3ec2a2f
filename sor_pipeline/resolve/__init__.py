"""The step that gives every field the value of its owner.

Reads: `staged.*`, `identity.*`, `steward.override`, the ownership document.
Writes: `canonical.<entity>`, `canonical.conflict`, `canonical.state`, `identity.affected`; the ends of overrides in
`steward.override`.
Raises: nothing of its own; a document that could not be resolved was refused by the linter.

Belongs here: the rules of `design.md` section 4 as selects. A pure, total, order-independent
function: `claims` (what each record says) > `words` (what each system says) > `cells` (what holds).
Does not: deciding what is the same thing (`identify`), what people read (`publish`).
"""
