"""What people decide, and what waits for them: acceptances, links, overrides, cases, notices.

Belongs here: writing a person's word down (`steward.*`), after looking whether it can be meant; and the step that
opens cases, hands them over and tells whose they are. Does not: acting on a word (the steps do), showing it
(`observe`).
"""
