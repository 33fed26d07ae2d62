"""Pedicle screws as solids: threaded shank, ball, tulip with its slot, set screw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spinemar.implants.catalogue import Head, ScrewModel
from spinemar.implants.placement import Screw
from spinemar.implants.shapes.solids import (
    Cone,
    Cut,
    FloatArray,
    Solid,
    Sphere,
    Union,
    box,
    cylinder,
    perpendicular,
    unit,
)
from spinemar.implants.shapes.thread import ThreadedShank

# The tulip's floor below the ball's centre.
_FLOOR_SHARE = 0.25


@dataclass(frozen=True)
class Part:
    """A solid of one material."""

    name: str
    solid: Solid
    material: str


@dataclass(frozen=True)
class HeadPose:
    """Where a screw's head lies: ball centre, rod seat, tulip axis and slot direction."""

    ball: FloatArray
    seat: FloatArray
    axis: FloatArray
    slot: FloatArray


def shank_axis(screw: Screw) -> FloatArray:
    """Return the unit vector from entry to tip, shape (3,)."""
    return unit(np.subtract(screw.tip, screw.entry))


def head_pose(screw: Screw, model: ScrewModel) -> HeadPose:
    """Return where the head of a placed screw lies."""
    axis = shank_axis(screw)
    ball = np.asarray(screw.entry, float) - axis * model.head.neck_mm
    head_axis = -axis if screw.head_axis is None else unit(screw.head_axis)
    wanted = (0.0, 0.0, 1.0) if screw.slot_axis is None else screw.slot_axis
    slot = perpendicular(head_axis, wanted)
    return HeadPose(ball, ball + head_axis * model.head.seat_mm, head_axis, slot)


def screw_parts(screw: Screw, model: ScrewModel) -> Iterator[Part]:
    """Yield the solids of a screw: none overlaps another, so their volumes add up."""
    pose = head_pose(screw, model)
    thread = ThreadedShank(
        np.asarray(screw.entry, float),
        np.asarray(screw.tip, float),
        screw.diameter_mm,
        model.thread,
    )
    neck = cylinder(pose.ball, screw.entry, screw.diameter_mm * model.thread.core_ratio / 2)
    ball = Sphere(pose.ball, model.head.ball_mm)
    yield Part("shank", thread, screw.material)
    yield Part("neck", Union([neck, ball]), screw.material)
    first_turns = cylinder(
        screw.entry, thread.entry + 8.0 * shank_axis(screw), screw.diameter_mm / 2
    )
    material = model.head_material or screw.material
    # A tulip tilted far would meet the uppermost threads: the shank wins.
    yield Part("tulip", Cut([_tulip(model.head, pose)], [ball, neck, first_turns]), material)
    yield Part("set screw", _set_screw(model.head, pose), material)


def head_solids(
    head: Head, ball: FloatArray, axis: FloatArray, slot: FloatArray
) -> tuple[Solid, Cone]:
    """Return tulip and set screw of a head with its ball at a point, without its screw.

    `ball` is a point in mm, `axis` and `slot` are unit vectors, all of shape (3,).
    """
    pose = HeadPose(ball, ball + axis * head.seat_mm, axis, slot)
    return _tulip(head, pose), _set_screw(head, pose)


def _tulip(head: Head, pose: HeadPose) -> Solid:
    """Return a rounded block with a U-shaped slot for the rod and a bore for the set screw."""
    floor = pose.ball - pose.axis * head.ball_mm * (1.0 + _FLOOR_SHARE)
    top = floor + pose.axis * head.height_mm
    across = np.cross(pose.axis, pose.slot)
    axes = np.stack([pose.slot, across, pose.axis])
    body = cylinder(floor, top, head.width_mm / 2)
    flats = box((floor + top) / 2, axes, (head.along_mm / 2, head.width_mm, head.height_mm))
    half = head.slot_mm / 2
    opening = box(
        pose.seat + pose.axis * head.height_mm, axes, (head.along_mm, half, head.height_mm)
    )
    reach = pose.slot * head.along_mm
    saddle = cylinder(pose.seat - reach, pose.seat + reach, half)
    bore = cylinder(pose.seat, top + pose.axis, head.set_screw_mm / 2)
    return Cut([body, flats], [opening, saddle, bore])


def _set_screw(head: Head, pose: HeadPose) -> Cone:
    """Return the set screw, sitting on the rod and flush with the tulip's top."""
    floor = pose.ball - pose.axis * head.ball_mm * (1.0 + _FLOOR_SHARE)
    top = floor + pose.axis * (head.height_mm - 0.5)
    bottom = pose.seat + pose.axis * head.slot_mm / 2
    return cylinder(bottom, top, head.set_screw_mm / 2)
