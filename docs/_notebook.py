"""Executes a notebook, and renders it as a page with the output of every cell."""

import textwrap
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HIDDEN = "setup"  # tag of cells that the page shows folded
LIMIT_S = 600  # of one cell
PANDAS = ' border="1" class="dataframe"'  # the theme styles only tables without a class


def executed(path: Path) -> NotebookNode:
    """Return a notebook with the output of its cells, which run in an empty folder.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell fails.
    """
    book = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        NotebookClient(
            book,
            timeout=LIMIT_S,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],  # of the kernel
            resources={"metadata": {"path": folder}},
        ).execute()
    return book


@cache
def page(path: Path, changed: float) -> str:
    """Return an executed notebook as Markdown.

    Args:
        path: The notebook.
        changed: Its time of change; `mkdocs serve` executes the notebook again only after a change.
    """
    return "\n\n".join(map(rendered, executed(path).cells)) + "\n"


def rendered(cell: NotebookNode) -> str:
    """Return one cell as Markdown: its text, or its code and output."""
    if cell.cell_type != "code":
        return cell.source
    code = f"```python\n{cell.source}\n```"
    if HIDDEN in cell.metadata.get("tags", ()):
        title = cell.source.splitlines()[0].removeprefix("# ")
        return f'??? example "{title}"\n\n{textwrap.indent(code, "    ")}'
    return "\n\n".join([code, *filter(None, map(_output, cell.outputs))])


def _output(output: NotebookNode) -> str:
    """Return one output as Markdown; progress and warnings on stderr are left out."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```" if output.name == "stdout" else ""
    for kind in ("text/html", "image/svg+xml"):
        if kind in output.data:
            content = output.data[kind]
            content = content[content.index("<") :].replace(PANDAS, "").strip()
            return f'<div class="output">\n{content}\n</div>'
    return f"```text\n{output.data['text/plain']}\n```"
