"""The eight scores of the AAPM CT-MAR benchmark, for any scan with a truth.

Written from their description; regions that the benchmark sets by hand for its own patients are
found by rule here, and its clinical stopping-power curve is not published. So a card compares
methods on one's own scans; it is no entry in the benchmark's table.

References
----------
The AAPM CT metal artifact reduction grand challenge, Med. Phys. (2025), doi 10.1002/mp.70050;
description of the scores: github.com/xcist/example, AAPM_datachallenge/scoring_metric.md.
"""

from spinemar.evaluation.aapm.card import AapmCard, AapmScores, aapm_card

__all__ = ["AapmCard", "AapmScores", "aapm_card"]
