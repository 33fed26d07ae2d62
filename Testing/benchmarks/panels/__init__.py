"""Tasks played in both panels with real mouse and keys: clicks and seconds, and what a click holds.

``python -m Testing.benchmarks.panels tasks | clicks``; see Docs/developer/what-the-eye-is-told.md.
"""
