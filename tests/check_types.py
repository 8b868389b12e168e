"""Check types, of the package and of every block of Python in README.md and docs/.

``python tests/check_types.py``, after ``pip install -e ".[test,types]"``.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from test_pages import PAGES, ROOT, blocks

MYPY = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
PYRIGHT = [sys.executable, "-m", "pyright", "--level", "error"]
PYRIGHT += ["--pythonpath", sys.executable, "--project"]
# Ours are meant, not what pyright guesses from the code of others.
OF_BLOCKS = {
    "extraPaths": [str(ROOT)],
    "reportMissingImports": False,
    "useLibraryCodeForTypes": False,
}


def main():
    """Return how many of the four runs found errors."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for page in (ROOT / "README.md", *PAGES):
            for line, block in blocks(page):
                name = f"{page.parent.name}_{page.stem}_line_{line}.py"
                files.append(Path(folder, name))
                files[-1].write_text(block, encoding="utf-8")
        Path(folder, "pyrightconfig.json").write_text(json.dumps(OF_BLOCKS))
        runs = (
            MYPY,
            [*MYPY, "--scripts-are-modules", *map(str, files)],
            [*PYRIGHT, str(ROOT)],
            [*PYRIGHT, folder],
        )
        return sum(subprocess.run(run, cwd=ROOT).returncode != 0 for run in runs)


if __name__ == "__main__":
    sys.exit(main())
