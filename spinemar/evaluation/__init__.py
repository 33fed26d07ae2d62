"""How good is a correction? Scores against a truth, and tables that compare methods."""

from spinemar.evaluation.scores import Scores, SliceScores, evaluate

__all__ = ["Scores", "SliceScores", "evaluate"]
