"""Tables that the README says it quotes are those that were committed."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUOTED = re.compile(r"^<!-- from (?P<source>\S+) -->\n\n(?P<table>(?:^\|.*\n)+)", re.MULTILINE)


def test_quoted_tables_stand_in_the_committed_ones():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = list(QUOTED.finditer(readme))
    assert len(quoted) == readme.count("<!-- from ") > 0
    for found in quoted:
        source = (ROOT / found["source"]).read_text(encoding="utf-8")
        assert found["table"] in source, f"{found['source']} no longer holds\n{found['table']}"
