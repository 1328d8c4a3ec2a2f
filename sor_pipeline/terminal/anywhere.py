"""Options of the whole command, wherever people write them: `sor check --home x` is `sor --home x check`.

Belongs here: the order of words. Does not: which options there are (`cli`).
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class Anywhere(TyperGroup):
    """The options of the whole command may stand behind the subcommand too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Moves `--ownership`, `--home` and `--extracts` with their values to the front."""
        names = {name for option in self.params for name in option.opts} - {"--help"}
        front: list[str] = []
        rest: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                rest += [word, *words]
            elif word.partition("=")[0] in names:
                value = [] if "=" in word else [text for text in [next(words, None)] if text is not None]
                (front if value or "=" in word else rest).extend([word, *value])
            else:
                rest.append(word)
        return super().parse_args(ctx, [*front, *rest])
