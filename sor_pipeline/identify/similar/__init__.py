"""Records that share no key and are probably the same: pairs with a probability, learned without labels.

Reads: `staged.<source>`, `steward.decision` (as labels, when training), `identity.model`, `identity.frequency`.
Writes: `identity.<entity>__block`, `identity.<entity>__pair`; training alone `identity.model`, `identity.frequency`.

Belongs here: what is compared and how (`plan`, `comparing`, `features`), with whom (`blocks`), what agreement is
worth (`learning`, `model`), what keeps apart whatever it is worth (`vetoes`). `backend` is the only file
that knows Splink. Does not: who is clustered with whom (`identify.clusters`).
"""
