"""Every block of Python in README.md runs, pasted alone."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from threadpoolctl import threadpool_limits

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks():
    """Each with the line that it begins at."""
    for match in re.finditer(
        r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
    ):
        line = README.count("\n", 0, match.start()) + 1
        yield pytest.param(match[1], id=f"line {line}")


@pytest.mark.parametrize("block", [*blocks()])
def test_block_runs_alone(block):
    with threadpool_limits(1):
        exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    plt.close("all")
