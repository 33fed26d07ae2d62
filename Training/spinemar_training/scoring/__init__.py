"""Methods scored on scans that training never saw, and the gate's fit."""
