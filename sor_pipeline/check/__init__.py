"""The check step: does what resolve made hold what the ownership document promises?

Belongs here: expectations and their findings. Does not: the decision to publish (`publish`).
"""
