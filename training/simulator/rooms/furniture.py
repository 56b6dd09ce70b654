"""Tables, desks, seats, beds and decoration, made of boxes, cylinders and ellipsoids, each in its own local frame.

Local frame of a piece: origin on the floor in the middle of its back edge, x along the wall, y into the room, z up.
A piece registers its surfaces, doors, drawers and seats as targets at its `Site`.
"""

from __future__ import annotations

import itertools

import numpy as np

from training.simulator.rooms.fittings import drawer, seat, surface
from training.simulator.rooms.furniture_parts import Rng, carcass, edge_places, legs
from training.simulator.rooms.lighting import Window
from training.simulator.rooms.palette import DARK, STEEL, fabric, hsv, shade, wood
from training.simulator.rooms.pictures import screen, view
from training.simulator.rooms.plan import Target
from training.simulator.rooms.shell import panel, upright
from training.simulator.rooms.site import CYLINDER, ELLIPSOID, GLOW, Frame, vector
from training.simulator.rooms.textures import texture_size


def table(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A table centred on x; objects may stand along its front and back edge, within reach."""
    colour, w = wood(rng), width / 2
    frame.box((-w, 0, height - 0.05), (w, depth, height), colour)
    legs(frame, w, depth, height - 0.05, 0.06, shade(colour, 0.7))
    places = edge_places(rng, w, depth - 0.14, height, 4) + edge_places(rng, w, 0.22, height, 3)
    surface(frame, "table", (-w, 0), (w, depth), height, places)


def coffee_table(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A low table."""
    colour, w = wood(rng), width / 2
    frame.box((-w, 0, height - 0.04), (w, depth, height), colour)
    frame.box((-w + 0.1, 0.1, 0), (w - 0.1, depth - 0.1, 0.04), shade(colour, 0.6))
    frame.box((-0.12, depth / 2 - 0.12, 0.04), (0.12, depth / 2 + 0.12, height - 0.04), shade(colour, 0.7))
    places = edge_places(rng, w, depth - 0.12, height, 3) + edge_places(rng, w, 0.2, height, 2)
    surface(frame, "coffee table", (-w, 0), (w, depth), height, places)


def desk(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A desk with a screen, a lamp, and drawers at one side."""
    colour, w = wood(rng), width / 2
    side = 1 if rng.uniform() < 0.5 else -1
    frame.box((-w, 0, height - 0.04), (w, depth, height), colour)
    far = -side * (w - 0.03)
    frame.box((far - 0.03, 0.02, 0), (far + 0.03, depth - 0.02, height - 0.04), shade(colour, 0.75))
    inner, outer = sorted((side * (w - 0.42), side * w))
    unit = frame.at((inner + outer) / 2, 0)
    carcass(unit, 0.21, depth - 0.02, 0.05, height - 0.04, shade(colour, 0.85), [], shelves=0)
    levels = np.linspace(0.08, height - 0.06, 4)
    for low, high in itertools.pairwise(levels):
        drawer(unit, "desk", (-0.2, low), (0.2, high), depth - 0.02, shade(colour, 1.1))
    x = -side * rng.uniform(0.0, 0.2)
    frame.box((x - 0.28, 0.16, height + 0.1), (x + 0.28, 0.19, height + 0.44), DARK)
    image = screen(frame.site.looks, frame.site.split, (64, 36))
    panel(
        frame.site,
        frame.site.name("screen"),
        frame.point(x, 0.193, height + 0.27),
        upright(frame),
        (0.26, 0.15),
        image,
        0.5,
    )
    frame.box((x - 0.1, 0.1, height), (x + 0.1, 0.25, height + 0.012), DARK)
    frame.box((x - 0.03, 0.14, height), (x + 0.03, 0.17, height + 0.12), DARK)
    frame.box((x - 0.22, depth - 0.3, height), (x + 0.22, depth - 0.17, height + 0.02), shade(DARK, 1.6))
    screen_at = [(x + dx, y) for dx in (-0.25, 0.0, 0.25) for y in (0.14, depth - 0.24)]
    surface(frame, "desk", (-w, 0), (w, depth), height, edge_places(rng, w, depth - 0.13, height, 4), screen_at)


def sofa(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A sofa (or, when narrow, an armchair) with cushions."""
    colour, w, arm = fabric(rng), width / 2, 0.16
    frame.box((-w, 0, 0.08), (w, depth, 0.34), shade(colour, 0.85))
    frame.box((-w, 0, 0.34), (w, 0.24, height), colour)
    for x in (-w, w - arm):
        frame.box((x, 0, 0.30), (x + arm, depth, 0.58), shade(colour, 0.92))
    seats = max(1, round((width - 2 * arm) / 0.65))
    step = (width - 2 * arm) / seats
    name = "sofa" if seats > 1 else "armchair"
    for i in range(seats):
        low = -w + arm + i * step
        frame.box((low + 0.01, 0.22, 0.34), (low + step - 0.01, depth - 0.02, 0.43), shade(colour, 1.12))
        seat(frame, name, low + step / 2, 0.42, 0.43, depth, (step, depth - 0.24))
    if width > 1.2:
        frame.geom(ELLIPSOID, (-w + arm + 0.14, 0.3, 0.57), (0.16, 0.07, 0.15), fabric(rng), solid=False)


def chair(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A dining chair facing +y."""
    colour, w = fabric(rng), width / 2
    frame.box((-w, 0, 0.42), (w, depth, 0.46), colour)
    frame.box((-w, 0, 0.46), (w, 0.04, height), colour)
    legs(frame, w, depth, 0.42, 0.04, shade(colour, 0.5))
    seat(frame, "chair", 0.0, depth * 0.46, 0.46, depth, (width, depth))


def stool(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A round stool."""
    colour = fabric(rng)
    frame.geom(CYLINDER, (0, depth / 2, height - 0.03), (width / 2, 0.03), colour)
    frame.geom(CYLINDER, (0, depth / 2, height / 2 - 0.03), (0.04, height / 2 - 0.03), STEEL)
    frame.geom(CYLINDER, (0, depth / 2, 0.012), (width * 0.42, 0.012), STEEL)
    seat(frame, "stool", 0.0, depth * 0.5, height, depth, (width, depth))


def bed(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A bed with its head at the wall; its foot end is a seat."""
    colour, cloth, w = wood(rng), fabric(rng), width / 2
    frame.box((-w, 0, 0), (w, 0.06, height + 0.5), colour)
    frame.box((-w, 0.06, 0.08), (w, depth, 0.26), shade(colour, 0.8))
    frame.box((-w + 0.02, 0.07, 0.26), (w - 0.02, depth - 0.02, height - 0.04), (0.93, 0.92, 0.9))
    frame.box((-w, 0.6, 0.3), (w, depth + 0.01, height), cloth)
    for x in [-w / 2, w / 2] if width > 1.2 else [0.0]:
        frame.geom(ELLIPSOID, (x, 0.32, height + 0.04), (min(0.33, w * 0.7), 0.2, 0.09), shade(cloth, 1.3), solid=False)
    for x in [-w / 2, w / 2] if width > 1.2 else [0.0]:
        seat(frame, "bed", x, depth - 0.24, height, depth, (min(width, 0.8), 0.5))


def lamp(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A floor lamp with a glowing shade."""
    y = depth / 2
    frame.geom(CYLINDER, (0, y, 0.015), (0.15, 0.015), (0.2, 0.2, 0.22))
    frame.geom(CYLINDER, (0, y, height / 2), (0.018, height / 2), (0.25, 0.25, 0.27))
    frame.geom(CYLINDER, (0, y, height), (width / 2, 0.16), hsv(rng.uniform(0.06, 0.16), 0.35, 1.0), GLOW)


def plant(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A pot with a few large leaves."""
    y = depth / 2
    frame.geom(CYLINDER, (0, y, 0.2), (0.17, 0.2), fabric(rng))
    green = hsv(rng.uniform(0.2, 0.36), rng.uniform(0.3, 0.65), rng.uniform(0.2, 0.5))
    for _ in range(5):
        x, dy = rng.uniform(-0.1, 0.1, 2)
        size = (rng.uniform(0.1, 0.17), rng.uniform(0.1, 0.17), rng.uniform(0.2, 0.32))
        frame.geom(ELLIPSOID, (x, y + dy, rng.uniform(0.55, height - 0.3)), size, shade(green, rng.uniform(0.75, 1.25)))


def window(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """A window onto a photographed view, with a cross of bars and curtains at both sides; daylight comes in."""
    w, low, high = width / 2, 0.9, 0.9 + height
    white, curtain = (0.95, 0.95, 0.95), fabric(rng)
    frame.box((-w - 0.07, 0, low - 0.07), (w + 0.07, 0.03, high + 0.07), white)
    _daylight(frame, width, height, (low + high) / 2)
    frame.box((-0.025, 0.04, low), (0.025, 0.06, high), white)
    middle = (low + high) / 2
    frame.box((-w, 0.04, middle - 0.025), (w, 0.06, middle + 0.025), white)
    for side in (-1, 1):
        x = side * (w + 0.16)
        frame.box((x - 0.16, 0.03, 0.25), (x + 0.16, 0.1, high + 0.12), curtain)
    site, place = frame.site, frame.point(0, 0.9, 0)
    site.targets.append(
        Target(
            "window",
            vector(place),
            "floor",
            0.0,
            "spot",
            site.name("window"),
            room=site.room,
            yaw=frame.yaw + np.pi / 2,
            stands=(frame.stand(0, 0.8, np.pi),),
            size=(width, 0.1, height),
        )
    )


def _daylight(frame: Frame, width: float, height: float, middle: float) -> None:
    """The view through a window, and the light that comes in."""
    site, centre, brightness = frame.site, frame.point(0, 0.035, middle), 0.6
    half = (width / 2, height / 2)
    if site.lights:
        light = site.lights[site.room]
        light.windows.append(Window(centre, frame.point(0, 1, 0) - frame.point(0, 0, 0), half))
        brightness = light.brightness
    image = view(site.looks, site.split, texture_size(width, height), brightness)
    panel(site, site.name("view"), centre, upright(frame), half, image, 0.55)


def coat_rack(frame: Frame, rng: Rng, width: float, depth: float, height: float) -> None:
    """Hooks on a board with coats."""
    w = width / 2
    frame.box((-w, 0, height - 0.06), (w, 0.03, height + 0.06), wood(rng))
    for x in np.linspace(-w + 0.1, w - 0.1, 4):
        if rng.uniform() < 0.7:
            frame.box((x - 0.08, 0.02, height - rng.uniform(0.6, 0.9)), (x + 0.08, 0.14, height - 0.02), fabric(rng))
