"""The HTML templates of reports: a report's own beside the frame that all pages share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def render(template: Path, facts: Mapping[str, Any]) -> str:
    """Return a report's page as HTML text.

    Parameters
    ----------
    template : path
        Of the report; it may import `frame.html.j2` of this room.
    facts : mapping
        What the template names; a missing one is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**facts)
