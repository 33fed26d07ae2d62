"""What may be said about a parameter beside its type: default, limits, choices, steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Default:
    """The value a parameter has before anybody sets it."""

    value: Any


@dataclass
class WithinRange:
    """The value lies between two limits, both included."""

    minimum: Any
    maximum: Any

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within [{self.minimum}, {self.maximum}], got {value}")


@dataclass
class Minimum:
    """The value is not below a limit."""

    minimum: Any

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, got {value}")


@dataclass
class Maximum:
    """The value is not above a limit."""

    maximum: Any

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, got {value}")


class Choice:
    """The value is one of a list."""

    def __init__(self, choices: list[Any]) -> None:
        self.choices = list(choices)

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value must be one of {self.choices}, got {value}")


class NotNone:
    """The value is not None."""

    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")


@dataclass
class Decimals:
    """Decimals of the spin box that shows the value."""

    value: int


@dataclass
class SingleStep:
    """Step of the spin box or slider that shows the value."""

    value: float
