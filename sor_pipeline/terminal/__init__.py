"""What people see in the terminal.

Belongs here: tables that fit, progress, wording, JSON on request.
Does not: commands and options (`cli`), selects (`observe`).
"""
