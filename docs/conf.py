"""Sphinx configuration: Markdown pages, and reference pages generated from the code before each build."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import reference_pages

from imgsearch import __version__

project = "imgsearch"
author = "the imgsearch authors"
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "imgsearch"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}


def setup(app: object) -> None:
    """Write the reference pages before Sphinx looks for sources."""
    reference_pages.write(HERE / "reference")
