"""Studies that a radiologist or a reviewer would ask for: whether it helps, and is safe.

One file a study; `study_settings` reads their configurations, `scenes` makes the scans they
share, `pages` turns their JSON into tables and plots.
"""
