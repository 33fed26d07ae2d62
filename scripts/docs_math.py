"""MkDocs hook: equations become MathML while the pages are built, so that no script is loaded.

The extension pymdownx.arithmatex marks what is an equation; latex2mathml (MIT) converts it.
"""

from __future__ import annotations

import html
import re
from typing import Any

_MARKED = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(page_html: str, **_: Any) -> str:
    """Convert every equation of a page."""
    return _MARKED.sub(_mathml, page_html)


def _mathml(found: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    display = "block" if found[1] == "div" else "inline"
    mathml: str = convert(html.unescape(found[2]).strip(), display=display)
    # A wide equation scrolls by itself instead of widening the page.
    return f'<div style="overflow-x: auto">{mathml}</div>' if display == "block" else mathml
