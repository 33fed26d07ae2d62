"""Plan L1 and L2 of the sample CT again -> spinemar/demo/sample_plan.json."""

from __future__ import annotations

from pathlib import Path

import spinemar.demo
from spinemar.demo.run import planned
from spinemar.demo.sample_data import sample_ct
from spinemar.io import read_volume
from spinemar.planning.plans.plan_json import write_plan

TARGET = Path(spinemar.demo.__file__).with_name("sample_plan.json")


def main() -> None:
    """Plan and write."""
    plan = planned(read_volume(sample_ct()), "L1-L2")
    write_plan(TARGET, plan)
    for screw in plan.screws:
        grade = "not graded" if screw.grade is None else screw.grade.letter
        print(f"{screw.id}: {screw.diameter_mm:g} x {screw.length_mm:g} mm, {grade}")


if __name__ == "__main__":
    main()
