"""Parts of furniture that actions use: surfaces, hinged fronts, drawers and seats, registered as targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.simulator.rooms.clutter import scatter
from training.simulator.rooms.palette import STEEL, Colour, hsv
from training.simulator.rooms.plan import Articulation, Target, Vector
from training.simulator.rooms.site import Frame, Spot, vector

BEFORE_CABINET, BEFORE_DRAWER, BEFORE_SEAT = 0.62, 0.75, 0.15  # metres from a front to the user's pelvis


def surface(
    frame: Frame, name: str, low: tuple[float, float], high: tuple[float, float], height: float, places: list[Vector],
    standing: Sequence[tuple[float, float]] = (),
) -> str:  # fmt: skip
    """Registers the top of a piece as a target: its rectangle and the local places for objects; returns its id.

    Clutter is scattered over it between the places and what is `standing` there, at local (x, y).
    """
    site, middle = frame.site, frame.point((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, height)
    target_id = site.name(name.replace(" ", "_"))
    site.targets.append(
        Target(
            name,
            vector(middle),
            name,
            height,
            "surface",
            target_id,
            room=site.room,
            size=(high[0] - low[0], high[1] - low[1], 0.0),
            yaw=frame.yaw + np.pi / 2,
        )
    )
    scatter(frame, low, high, height, [*((x, y) for x, y, _ in places), *standing])
    site.spots += [Spot(frame.point(*place), target_id, name, site.room) for place in places]
    return target_id


def hinged_front(
    frame: Frame, piece: str, low: tuple[float, float], high: tuple[float, float], depth: float, colour: Colour,
    hinge_low: bool, handle_height: float,
) -> str:  # fmt: skip
    """A hinged front panel that opens towards +y, with its handle, as target "cabinet"; returns its id.

    Args:
        piece: name of the furniture. low, high: local (x, z) of the panel. depth: local y of its back.
        hinge_low: hinge at the low x end. handle_height: local z of the handle.
    """
    site = frame.site
    part = site.body(site.name(f"{piece}_door".replace(" ", "_")))
    hinge, free = (low[0], high[0]) if hinge_low else (high[0], low[0])
    inward = 1.0 if hinge_low else -1.0
    moving = frame.on(part)
    moving.box((low[0] + 0.004, depth, low[1]), (high[0] - 0.004, depth + 0.02, high[1]), colour)
    grip = (free - 0.05 * inward, depth + 0.04, handle_height)
    moving.box((grip[0] - 0.012, depth + 0.02, grip[2] - 0.06), (grip[0] + 0.012, depth + 0.05, grip[2] + 0.06), STEEL)
    site.articulations[part] = Articulation(
        part, "hinge", vector(frame.point(hinge, depth, 0)), (0.0, 0.0, inward), (0.0, 1.9)
    )
    site.targets.append(
        Target(
            piece,
            vector(frame.point((low[0] + high[0]) / 2, depth, (low[1] + high[1]) / 2)),
            piece,
            frame.point(*grip)[2],
            "cabinet",
            part,
            room=site.room,
            yaw=frame.yaw + np.pi / 2,
            size=(high[0] - low[0], 0.02, high[1] - low[1]),
            handle=vector(frame.point(*grip)),
            articulation=part,
            stands=(
                frame.stand(free + 0.12 * inward, depth + BEFORE_CABINET, np.pi),
                frame.stand(free, depth + BEFORE_CABINET + 0.12, np.pi),
            ),
        )
    )
    return part


def drawer(
    frame: Frame, piece: str, low: tuple[float, float], high: tuple[float, float], depth: float, colour: Colour
) -> None:
    """A drawer that slides towards +y: local (x, z) of its front, `depth` the local y of the front's back."""
    site = frame.site
    part = site.body(site.name(f"{piece}_drawer".replace(" ", "_")))
    moving, inside = frame.on(part), hsv(0.09, 0.25, 0.75)
    middle, height = (low[0] + high[0]) / 2, (low[1] + high[1]) / 2
    moving.box((low[0] + 0.006, depth, low[1] + 0.005), (high[0] - 0.006, depth + 0.02, high[1] - 0.005), colour)
    moving.box((middle - 0.07, depth + 0.02, height - 0.012), (middle + 0.07, depth + 0.045, height + 0.012), STEEL)
    moving = moving.inside(part)
    rim = low[1] + 0.7 * (high[1] - low[1])
    x0, x1, back = low[0] + 0.02, high[0] - 0.02, 0.06
    moving.box((x0, back, low[1] + 0.015), (x1, depth, low[1] + 0.025), inside)
    for a, b in ((x0, x0 + 0.012), (x1 - 0.012, x1)):
        moving.box((a, back, low[1] + 0.015), (b, depth, rim), inside)
    moving.box((x0, back, low[1] + 0.015), (x1, back + 0.012, rim), inside)
    direction = frame.point(0, 1, 0) - frame.origin
    site.articulations[part] = Articulation(
        part, "slide", vector(frame.point(middle, depth, height)), vector(direction), (0.0, 0.8 * (depth - back))
    )
    handle = vector(frame.point(middle, depth + 0.035, height))
    site.targets.append(
        Target(
            "drawer",
            vector(frame.point(middle, depth, height)),
            piece,
            handle[2],
            "drawer",
            part,
            room=site.room,
            size=(high[0] - low[0], depth - back, high[1] - low[1]),
            yaw=frame.yaw + np.pi / 2,
            handle=handle,
            stands=(
                frame.stand(middle, depth + BEFORE_DRAWER, np.pi),
                frame.stand(middle, depth + BEFORE_DRAWER + 0.12, np.pi),
            ),
            articulation=part,
        )
    )


def seat(frame: Frame, name: str, x: float, y: float, height: float, front: float, size: tuple[float, float]) -> None:
    """A place to sit, facing +y: the pelvis comes to rest over local (x, y); `front` is the local y of its edge."""
    site = frame.site
    site.targets.append(
        Target(
            name,
            vector(frame.point(x, y, height)),
            name,
            height,
            "seat",
            site.name(f"{name}_seat".replace(" ", "_")),
            room=site.room,
            size=(*size, 0.0),
            yaw=frame.yaw + np.pi / 2,
            stands=(frame.stand(x, front + BEFORE_SEAT, 0.0),),
        )
    )
