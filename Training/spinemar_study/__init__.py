"""Studies that a radiologist or a reviewer would ask for: whether it helps, and is safe.

One file a study; `settings` reads their configurations, `scenes` and `bank` make the scans they
share, `page` turns their JSON into tables and plots.
"""
