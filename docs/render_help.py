"""Write the commands' --help into docs/command.md: `python docs/render_help.py`.

tests/test_docs.py fails while the page and the help differ.
"""

import re
import sys
from pathlib import Path

from click.testing import CliRunner

from vidcam.cli import COMMANDS, cli

PAGE = Path(__file__).with_name("command.md")


def rendered(page: str) -> str:
    """`page` with every `<!-- help: NAME -->` block holding the command's help of today."""
    for name in COMMANDS:
        result = CliRunner().invoke(
            cli, [name, "--help"], prog_name="vidcam", terminal_width=100, max_content_width=100
        )
        block = f"<!-- help: {name} -->\n```text\n{result.output.rstrip()}\n```"
        pattern = rf"<!-- help: {name} -->\n```text\n.*?```"
        page = re.sub(pattern, lambda _, block=block: block, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")
    sys.stderr.write(f"{PAGE.name} is up to date\n")
