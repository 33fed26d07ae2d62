"""Pairs of scans: a patient before an operation, and after it with metal; scores of both together.

``python -m Testing.benchmarks.earlier_ct make | score | refuse | page``; see Docs/earlier-ct.md.
The scans with metal come from the project's own fan-beam simulator or from XCIST (see
`Testing.benchmarks.xcist`). What moved between the scans, what the operation took away and what
is new is known, so that a registration and a fusion can be judged.
"""
