"""Check the types of the package, and of all blocks of Python in README.md and docs/.

mypy and pyright must be installed, with what the blocks import.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYRIGHT = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
MYPY = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]


def write_blocks(folder):
    """Write each block to a file named after its page and line; return the files."""
    files = []
    for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S):
            line = text.count("\n", 0, match.start()) + 1
            files.append(folder / f"{page.stem}_line_{line}.py")
            files[-1].write_text(match[1], encoding="utf-8")
    return files


def main():
    """Run both checkers over both; return how many runs found errors."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        blocks = [str(path) for path in write_blocks(Path(folder))]
        settings = Path(folder, "pyrightconfig.json")
        # without guesses from the code of libraries that have no annotations
        settings.write_text(
            json.dumps({"extraPaths": [str(ROOT)], "useLibraryCodeForTypes": False})
        )
        for command in (
            MYPY,
            [*MYPY, "--scripts-are-modules", *blocks],
            [*PYRIGHT, "--level", "error", "--project", str(ROOT)],
            [*PYRIGHT, "--level", "error", "--project", folder],
        ):
            print("$", *command[1:4], "...", flush=True)
            failures += subprocess.run(command, cwd=ROOT).returncode != 0
    return failures


if __name__ == "__main__":
    sys.exit(main())
