"""Fixed cases on which any method is scored, ours or somebody else's; see Docs/benchmark.md.

``python -m Testing.benchmarks.common_cases make | score | page``. The cases come from the project's
own scanner, by seed, and from XCIST where `Testing.benchmarks.xcist` made them; they show the
validation patient and the sample patient, whom no model of ours was trained on.
"""
