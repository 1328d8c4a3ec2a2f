"""A first ownership document, guessed from headers and samples; every guess says why.

Belongs here: pure functions from samples to the text of a draft. Does not: reading extracts (the caller samples
them), deciding what a text means (the caller lends the reading of types, so that a guessed type is one that reads).
"""
