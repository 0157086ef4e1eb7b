"""Settings of the site that `make docs` builds: Sphinx, furo and MyST. Nothing is fetched while it builds."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_ext"))
sys.path.insert(0, str(ROOT / "bindings/python"))

import django_project  # noqa: E402, F401
import tokenstore  # noqa: E402

project = "tokenstore"
version = release = tokenstore.__version__
html_title = f"tokenstore {version}"
language = "en"
copyright = ""
html_show_copyright = html_show_sphinx = False

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_inline_tabs",
    "c_headers",  # docs/_ext
    "code_tabs",
    "commands",
    "lua_types",
    "nginx_lua",
    "other_names",
    "themed_images",
]
exclude_patterns = ["_ext", "_static"]
nitpicky = False

myst_heading_anchors = 4
myst_enable_extensions = ["smartquotes"]
myst_links_external_new_tab = False
smartquotes = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}

# "…" for what is left out; and names in annotations that both blocking and asyncio have.
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
