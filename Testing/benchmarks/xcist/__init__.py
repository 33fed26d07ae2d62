"""A judge that nobody trains on: scans by XCIST, another group's simulator of CT scanners.

``python -m Testing.benchmarks.xcist install | make | score``; see Docs/judge.md. Projector,
spectrum, bowtie, scatter, detector, corrections and reconstruction are XCIST's own (`gecatsim`,
BSD-3); the patient is the validation patient, the implants come from the project's planner.

References
----------
M. Wu et al., "XCIST - an open access x-ray/CT simulation toolkit", Phys. Med. Biol. 67 (2022)
194002.
"""
