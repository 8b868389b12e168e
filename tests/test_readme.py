"""Every block of Python in README.md and docs/*.md runs, pasted alone."""

import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
# Of whom a page shows how they go together with ours.
NEIGHBOURS = ("lightning", "skorch")


def blocks():
    """Each with its file and the line that it begins at."""
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(
            r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
        ):
            line = text.count("\n", 0, match.start()) + 1
            yield pytest.param(path.name, match[1], id=f"{path.name} line {line}")


@pytest.mark.parametrize(("name", "block"), [*blocks()])
def test_block_runs_alone(name, block):
    with threadpool_limits(1), warnings.catch_warnings():
        for package in NEIGHBOURS:
            if re.search(rf"^(import|from) {package}\b", block, re.MULTILINE):
                warnings.simplefilter("ignore")  # theirs, of torch
                pytest.importorskip(package, reason=f"the recipe is for {package}")
        exec(compile(block, name, "exec"), {"__name__": "__main__"})
    plt.close("all")
