"""`docs/reference/README.md`: the contents of the reference, from the pages that are there."""

from pathlib import Path

from scripts.pages.page import FOLDER, write_page


def write() -> str:
    """Write the page. Raises `FileNotFoundError` when the pages it lists have not been written."""
    pages = sorted(page for page in Path(FOLDER).glob("*.md") if page.name != "README.md")
    if not pages:
        raise FileNotFoundError(f"there is no page in {FOLDER}")
    lines = ["# Reference", "", "Written from the pages beside this one; do not edit.", ""]
    for page in pages:
        text = page.read_text(encoding="utf-8").splitlines()
        sections = sum(1 for line in text if line.startswith("## "))
        lines.append(f"- [{text[0].removeprefix('# ')}]({page.name}): {sections} sections")
    return write_page("README.md", lines)
