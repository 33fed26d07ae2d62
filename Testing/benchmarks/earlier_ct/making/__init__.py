"""How pairs are made: a patient, a posture, an operation, two scanners."""
