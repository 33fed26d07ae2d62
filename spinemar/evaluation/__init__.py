"""How good is a correction? Scores against a truth, and tables that compare methods."""

from spinemar.evaluation.scores import Scores, SliceScores, evaluate
from spinemar.evaluation.true_metal import TrueMetal, TrueMetalScores

__all__ = ["Scores", "SliceScores", "TrueMetal", "TrueMetalScores", "evaluate"]
