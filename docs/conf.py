"""How the site is built: `make docs`, offline from the first line to the last."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent), str(DOCS.parent / "src")]

from fathometer import __version__  # noqa: E402  the package is beside us, installed or not

project, author, release = "Fathometer", "The Fathometer authors", __version__
project_copyright = "2026 The Fathometer authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "press.equations", "press.sources", "press.docstrings"]
exclude_patterns = ["press", "_static"]
nitpicky = True  # with -W: a name or a link that leads nowhere stops the build

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
smartquotes = False  # code and prose keep the quotes that were typed
python_maximum_signature_line_length = 80
toc_object_entries = False  # the contents beside a page list its rooms, not their hundred names

html_theme = "furo"
html_title = "Fathometer"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/mark.svg"
html_math_renderer = "drawn"
html_show_search_summary = False  # a page that was opened from a file may not read its neighbours
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_domain_indices = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
html_theme_options = {
    "light_logo": "mark.svg",
    "dark_logo": "mark.svg",
    "light_css_variables": {
        "color-brand-primary": "#1f659e",
        "color-brand-content": "#1f659e",
        "color-brand-visited": "#1f659e",
        "color-api-name": "#1b2026",
        "color-api-pre-name": "#59636f",
    },
    "dark_css_variables": {
        "color-background-primary": "#14181d",
        "color-background-secondary": "#1b2027",
        "color-brand-primary": "#7db8ea",
        "color-brand-content": "#7db8ea",
        "color-brand-visited": "#7db8ea",
        "color-foreground-muted": "#9da8b4",
        "color-api-name": "#e9edf1",
        "color-api-pre-name": "#9da8b4",
    },
}
