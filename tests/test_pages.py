"""Every block of Python in README.md and docs/ runs as it is pasted."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/*.md"))


def blocks(page):
    """Each with the line that it begins at."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match[1]


def paste(block, name):
    with threadpool_limits(1):
        exec(compile(block, name, "exec"), {"__name__": "__main__"})
    plt.close("all")


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"line {line}")
        for line, block in blocks(ROOT / "README.md")
    ],
)
def test_block_of_the_readme_runs_alone(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paste(block, "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    """In one folder, whose files a later block may read, but each on its own."""
    monkeypatch.chdir(tmp_path)
    for line, block in blocks(page):
        paste("\n" * line + block, page.name)  # so that errors give the page's line
