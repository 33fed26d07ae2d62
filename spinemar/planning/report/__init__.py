"""The report of a plan: tables, a 3-D view, and every screw in its own reformats."""
