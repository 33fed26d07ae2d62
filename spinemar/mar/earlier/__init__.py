"""The patient's own earlier CT as a prior: what is given, how it is used, what is said of it."""

from spinemar.mar.earlier.given import EarlierCt
from spinemar.mar.earlier.use import EarlierUse

__all__ = ["EarlierCt", "EarlierUse"]
