"""The manual as a site: `python -m sor_pipeline.dictionary.manual docs site`.

Belongs here: which chapter follows which, as the manual's front page links them. Does not: the site (`site`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sor_pipeline.dictionary.site import Chapter, build


def main(arguments: list[str]) -> None:
    """Renders a folder of Markdown whose `index.md` links the chapters in their order. Raises SettingsError."""
    folder, output = (Path(argument) for argument in arguments)
    made = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
    order = dict.fromkeys(["index.md", *re.findall(r"\]\((\w+\.md)\)", made["index.md"])])
    titles = {name: re.search(r"^# (.+)$", made[name], re.MULTILINE) for name in order}
    chapters: list[Chapter] = [(title[1] if title else name, name) for name, title in titles.items()]
    build("sor_pipeline", made, chapters, output)


if __name__ == "__main__":
    main(sys.argv[1:])
