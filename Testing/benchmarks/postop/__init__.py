"""Finding and grading the screws of simulated postoperative scans."""
