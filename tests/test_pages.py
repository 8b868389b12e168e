"""Every block of Python in README.md and docs/ runs as pasted; every name is listed."""

import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from test_docstrings import public_modules
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
# Of whom a page shows how they go together with ours.
NEIGHBOURS = ("dask", "lightning", "skorch")
PAGES = sorted(ROOT.glob("docs/**/*.md"))


def blocks(page):
    """Each with the line that it begins at."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match[1]


def paste(block, name):
    """Run it; give the package that it is about where that is missing."""
    about = re.search(rf"^(?:import|from) ({'|'.join(NEIGHBOURS)})\b", block, re.M)
    if about and find_spec(about[1]) is None:
        return about[1]
    with threadpool_limits(1), warnings.catch_warnings():
        if about:
            warnings.simplefilter("ignore")  # theirs, of torch
        exec(compile(block, name, "exec"), {"__name__": "__main__"})
    plt.close("all")
    return None


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    """In one folder, whose files a later block may read, but each on its own."""
    monkeypatch.chdir(tmp_path)
    # lines before a block, so that errors give the page's
    missing = {paste("\n" * line + block, page.name) for line, block in blocks(page)}
    if missing := missing - {None}:
        pytest.skip(f"all but the blocks about {', '.join(sorted(missing))} have run")


def test_every_public_name_is_listed():
    text = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (\w+)$", text, re.MULTILINE))
    assert listed == {name for module in public_modules() for name in module.__all__}
