"""What the gallery gives the experiments on their command line."""

from pathlib import Path

PICTURES = Path(__file__).parents[1] / "_build" / "pictures"


def command_line(gallery_conf, script):
    """Ask for pictures, which stay open for the gallery; examples read no arguments."""
    return ["--pictures", str(PICTURES)]
