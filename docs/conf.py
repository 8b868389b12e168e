"""How Sphinx builds the site.

Nothing is fetched, unless ``SKCAE_DOCS_ONLINE=1`` allows to look up other libraries'
names for links to them. ``SKCAE_DOCS_EXPERIMENTS=1`` also executes the experiments,
which take a quarter of an hour; without it the gallery executes the examples alone.
"""

import os
import sys
from pathlib import Path

import matplotlib

# the gallery looks up what examples import, some of which is there only after this
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

import skcae

ROOT = Path(__file__).parents[1]
# for benchmarks, and for our own extension
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_extensions")]
matplotlib.use("agg")

project = "skcae"
author = copyright = "The skcae developers"
release = version = skcae.__version__

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# Names and links

OTHERS = {
    "matplotlib": "https://matplotlib.org/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "sklearn": "https://scikit-learn.org/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}
if os.environ.get("SKCAE_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {name: (url, None) for name, url in OTHERS.items()}
# a missing link to another library is no fault of a page
nitpick_ignore_regex = [("py:.*", rf"({'|'.join(OTHERS)}|functools)\..*")]

# Pages

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "skcae"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "contributing": [], "changelog": []}

# The gallery

sphinx_gallery_conf = {
    "examples_dirs": ["../examples", "../benchmarks/tutorials"],
    "gallery_dirs": ["gallery", "experiments"],
    "filename_pattern": r"\.py$"
    if os.environ.get("SKCAE_DOCS_EXPERIMENTS")
    else r"examples.\w+\.py$",
    "ignore_pattern": r"(^|/)_\w*\.py$",
    "default_thumb_file": str(ROOT / "docs" / "_static" / "no_picture.png"),
    "within_subsection_order": "FileNameSortKey",
    "reset_argv": "experiments.command_line",
    "doc_module": ("skcae",),
    "backreferences_dir": "api/backreferences",
    "reference_url": {"skcae": None},
    "download_all_examples": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "write_computation_times": False,  # pages that load scripts from the network
}
