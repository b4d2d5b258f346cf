"""Mirrors the pages of the repository in the site, so that relative links work in both."""

from pathlib import Path

from _notebook import page as notebook_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = (
    "*.md",
    "LICENSE",
    "docs/*.md",
    "docs/*.js",
    "docs/*.png",
    "benchmarks/**/*",
    "data_synth/README.md",
    "results/tables/*",
    "results/figures/*",
)
SUFFIXES = {"", ".md", ".markdown", ".text", ".csv", ".json", ".latex", ".png", ".js"}
SUFFIXES |= {".py", ".txt", ".yaml", ".sh"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of `docs/` by all pages, each at its path in the repository."""
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    root = Path(config.config_file_path).parent
    for path in sorted({path for pattern in PAGES for path in root.glob(pattern)}):
        if path.is_file() and path.suffix in SUFFIXES:
            place = path.relative_to(root).as_posix()
            files.append(File.generated(config, place, abs_src_path=str(path)))
    for path in sorted(root.glob("docs/*.ipynb")):
        place = path.relative_to(root).with_suffix(".md").as_posix()
        content = notebook_page(path, path.stat().st_mtime)
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with links to rendered notebooks, and an escaped `<` shown as on GitHub."""
    return markdown.replace(r"\<", "&lt;").replace(".ipynb)", ".md)")
