"""From a method to a slice: what it proposes, and how a result says what was done."""
