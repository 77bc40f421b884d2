"""Body plans: a species becomes parts, in a pose of its own each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inatdet.datasets.mini.shapes import (
    Colour,
    Mark,
    Part,
    bands,
    ellipse,
    extent,
    limb,
    lines,
    polar,
    smooth,
    spots,
)
from inatdet.datasets.mini.species import Species

_EYE: Colour = (16, 14, 14)
_GLINT: Colour = (236, 236, 232)


def insect(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: three body segments, six legs, two pairs of wings."""
    wing_colour, pattern_colour, body_colour = species.colours
    wing, girth = _factor(species, "wing"), _factor(species, "girth")
    abdomen = _factor(species, "abdomen")
    parts = []
    for angle, root in ((52, 0.14), (95, 0.06), (135, -0.02)):
        for side in (1, -1):
            a = angle + rng.uniform(-12, 12)
            knee = (root, 0.05) + polar(a - 12, 0.2)
            foot = knee + polar(a + 14, 0.2)
            leg = limb([(root, 0.05), knee, foot], [0.04, 0.035, 0.015]) * (1, side)
            parts.append(Part(leg, _shade(body_colour, 0.8), 60))
    sweep = rng.uniform(-14, 16)
    for length, broad, angle, height in ((0.5, 0.3, 128, 110), (0.62, 0.3, 102, 135)):
        tip = (0.06, 0.05) + polar(angle + sweep, length * wing)
        middle = ((0.06, 0.05) + tip) / 2
        broad *= wing**0.5 * rng.uniform(0.9, 1.1)
        outline = limb([(0.06, 0.05), middle, tip], [0.05, broad * 0.8, broad, broad * 0.75, 0.02])
        mark = _pattern(rng, species, outline, pattern_colour, 5, 0.035)
        for flip in (1, -1):
            marks = tuple(Mark(tuple(o * (1, flip) for o in m.outlines), m.colour) for m in mark)
            parts.append(Part(outline * (1, flip), wing_colour, height, marks))
    rear = ellipse(-0.2 * abdomen - 0.05, 0, 0.25 * abdomen, 0.1 * girth)
    band = bands(rng, extent(rear), 5, 0.4, _shade(wing_colour, 0.85))
    parts.append(Part(rear, body_colour, 190, (band,)))
    parts.append(Part(ellipse(0.08, 0, 0.13, 0.105 * girth), _shade(body_colour, 1.25), 215))
    parts.append(Part(ellipse(0.25, 0, 0.085, 0.085), body_colour, 200))
    for side in (1, -1):
        parts.append(Part(ellipse(0.28, side * 0.06, 0.04, 0.035, points=12), _EYE, 225))
        reach = polar(rng.uniform(18, 48), 0.26)
        feeler = limb(
            [(0.31, 0.03), (0.31, 0.03) + reach * 0.6, (0.3, 0.05) + reach], [0.022, 0.012]
        )
        parts.append(Part(feeler * (1, side), _shade(body_colour, 0.8), 120))
    return parts


def bird(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: body, neck, head with a beak, folded wing, tail, two thin legs."""
    colour, second, belly = species.colours
    beak, tail, leg = (_factor(species, key) for key in ("beak", "tail", "leg"))
    nod, lift = rng.uniform(-0.06, 0.08), rng.uniform(-0.1, 0.14)
    head = np.array([0.34 + nod / 2, -0.3 + nod])
    parts = []
    for x, step in ((-0.02, rng.uniform(-0.08, 0.02)), (0.07, rng.uniform(-0.02, 0.08))):
        foot = np.array([x + step, 0.2 + 0.22 * leg])
        parts.append(
            Part(
                limb([(x, 0.12), (x + step / 2 - 0.03, 0.3), foot], [0.05, 0.03]),
                (196, 128, 56),
                60,
            )
        )
        parts.append(
            Part(
                limb([foot + (-0.04, 0), foot, foot + (0.1, 0.01)], [0.02, 0.03, 0.015]),
                (196, 128, 56),
                60,
            )
        )
    end = (-0.36 - 0.34 * tail, 0.14 + lift)
    parts.append(
        Part(limb([(-0.22, 0.05), (-0.36, 0.1 + lift / 2), end], [0.16, 0.13, 0.15]), second, 110)
    )
    body = limb(
        [(-0.38, 0.1), (-0.16, 0.06), (0.1, -0.02), (0.26, -0.16), head],
        [0.08, 0.34, 0.44, 0.42, 0.3, 0.26],
    )
    breast = limb(
        [(-0.3, 0.22), (0.02, 0.2), (0.26, 0.06), head + (0.03, 0.14)], [0.16, 0.3, 0.26, 0.1]
    )
    parts.append(Part(body, colour, 180, (Mark((breast,), belly),)))
    size = rng.uniform(0.93, 1.07)
    parts.append(Part(ellipse(*head, 0.165 * size, 0.15 * size), colour, 200))
    if crest := species.proportions.get("crest"):
        tip = head + (-0.16, -0.22 * crest + nod)
        parts.append(
            Part(
                limb([head + (0.04, -0.1), head + (-0.06, -0.18), tip], [0.12, 0.08, 0.01]),
                colour,
                190,
            )
        )
    bill = head + np.array([[0.12, -0.05], [0.15 + 0.15 * beak, 0.02 + 0.02 * beak], [0.12, 0.06]])
    parts.append(Part(bill, (206, 146, 54) if beak < 2 else (70, 58, 50), 170))
    parts.append(Part(ellipse(head[0] + 0.05, head[1] - 0.025, 0.03, points=12), _EYE, 215))
    parts.append(Part(ellipse(head[0] + 0.06, head[1] - 0.035, 0.009, points=8), _GLINT, 220))
    wing = limb(
        [(0.16, -0.04), (-0.04, 0.02), (-0.28, 0.1 + lift / 4), (-0.42, 0.12 + lift / 3)],
        [0.06, 0.24, 0.24, 0.14, 0.02],
    )
    parts.append(
        Part(
            wing,
            second if species.pattern == "plain" else _shade(colour, 0.9),
            225,
            _pattern(rng, species, wing, second, 6, 0.03),
        )
    )
    return parts


def lizard(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: a winding body with a long tail and four splayed legs."""
    colour, second, leg_colour = species.colours
    girth, tail = _factor(species, "girth"), _factor(species, "tail")
    x = np.concatenate([np.linspace(-0.35 - 0.75 * tail, -0.3, 6), np.linspace(-0.18, 0.5, 6)])
    phase, wind = rng.uniform(0, 6.28), rng.uniform(0.05, 0.13)
    spine = np.stack(
        [x, wind * np.sin(x * rng.uniform(4, 6) + phase) * np.clip(1 - x, 0.4, 1.6)], 1
    )

    def at(place: float) -> np.ndarray:
        return np.array([place, np.interp(place, spine[:, 0], spine[:, 1])])

    parts = []
    for place, forward in ((0.24, 28), (-0.22, -30)):
        for side in (1, -1):
            angle = side * (90 - forward - rng.uniform(-22, 22))
            root = at(place)
            knee = root + polar(angle, 0.16)
            foot = knee + polar(angle + side * (-50 if forward > 0 else 50), 0.12)
            parts.append(Part(limb([root, knee, foot], [0.09, 0.07, 0.04]), leg_colour, 90))
            for spread in (-35, 0, 35):
                toe = foot + polar(angle + spread, 0.06)
                parts.append(Part(limb([foot, toe], [0.02, 0.012]), leg_colour, 80))
    widths = [0.006, 0.03, 0.05, 0.07, 0.1, 0.16, 0.19, 0.19, 0.17, 0.12, 0.13, 0.1]
    body = limb(spine, np.array(widths) * girth)
    marks: tuple[Mark, ...] = ()
    if species.pattern == "lines":
        stripe = [limb(spine + (0, dy), [0.005, 0.02, 0.03, 0.03, 0.02]) for dy in (-0.045, 0.045)]
        marks = (Mark(tuple(stripe), second),)
    elif species.pattern == "bands":
        curve = smooth(spine, 5)[6:-6:4]
        marks = (Mark(tuple(_across(curve, 0.3, 0.022)), second),)
    elif species.pattern == "spots":
        places = rng.uniform(-0.75, 0.4, 34)
        outlines = [
            ellipse(*(at(p) + (0, rng.uniform(-0.07, 0.07))), rng.uniform(0.016, 0.03), points=10)
            for p in places
        ]
        marks = (Mark(tuple(outlines), second),)
    parts.append(Part(body, colour, 180, marks))
    tangent = np.degrees(np.arctan2(*(spine[-1] - spine[-2])[::-1]))
    head = at(0.5)
    parts.append(Part(ellipse(*head, 0.13, 0.085 * girth**0.5, tangent), colour, 200))
    for side in (1, -1):
        eye = head + polar(tangent + side * 62, 0.07)
        parts.append(Part(ellipse(*eye, 0.022, points=10), _EYE, 220))
    return parts


def mammal(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: four legs, neck, head with ears and a snout, a tail."""
    colour, second, third = species.colours
    leg, neck, ear, tail = (_factor(species, key) for key in ("leg", "neck", "ear", "tail"))
    bush = _factor(species, "bush")
    parts = []
    end = polar(rng.uniform(125, 215), 0.34 * tail)
    path = [(-0.36, -0.1), (-0.42, -0.1) + end * 0.5, (-0.42, -0.12) + end]
    widths = np.array([0.06, 0.07, 0.06, 0.02]) * (1, bush, bush, bush)
    parts.append(Part(limb(path, widths), colour, 90))
    if bush > 2:
        parts.append(Part(ellipse(*path[-1], 0.05), second, 95))
    swing = rng.uniform(-0.12, 0.12)
    for far in (True, False):
        for x, direction in ((0.24, 1), (-0.3, -1)):
            forward = direction * swing * (1 if far else -1) + rng.uniform(-0.02, 0.02)
            x_root = x + (0.05 if far else 0)
            foot = np.array([x_root + forward, 0.14 + 0.4 * leg])
            path = [(x_root, 0.02), (x_root + forward * 0.3, 0.12 + 0.16 * leg), foot]
            stroke = limb(path, [0.17, 0.11, 0.075, 0.07])
            tone = _shade(colour, 0.72) if far else colour
            marks = (
                ()
                if far or species.pattern != "bands"
                else (bands(rng, extent(stroke), 1, 0.01, tone),)
            )
            parts.append(Part(stroke, tone, 70 if far else 140, marks))
            hoof = ellipse(foot[0] + 0.02, foot[1], 0.05, 0.03, points=12)
            parts.append(
                Part(hoof, _shade(third if leg < 1 else (60, 50, 44), 0.8), 75 if far else 145)
            )
    body = limb(
        [(-0.42, 0.0), (-0.3, -0.02), (0.0, 0.01), (0.24, -0.03), (0.36, -0.04)],
        [0.14, 0.34, 0.35, 0.36, 0.33, 0.12],
    )
    head = np.array([0.34 + 0.14 * neck, -0.08 - 0.24 * neck + rng.uniform(-0.05, 0.09)])
    throat = limb([(0.2, -0.04), (0.3 + 0.05 * neck, -0.12 * neck), head], [0.3, 0.2, 0.15])
    hide = _pattern(rng, species, body, second, 8 if species.pattern == "bands" else 22, 0.036)
    parts.append(Part(body, colour, 185, hide))
    parts.append(Part(throat, colour, 190, _pattern(rng, species, throat, second, 5, 0.028)))
    down = rng.uniform(8, 30)
    snout = head + polar(down, 0.14)
    for side in (-0.02, 0.05):
        top = head + (-0.06 - side, -0.1 - 0.09 * ear)
        stroke = limb(
            [head + (-0.05 - side, -0.04), (head + top) / 2 + (-0.035, -0.01), top],
            [0.06, 0.085, 0.02],
        )
        parts.append(Part(stroke, _shade(colour, 0.85 if side < 0 else 1.0), 205))
    parts.append(Part(ellipse(*head, 0.125, 0.1, down), colour, 215))
    parts.append(Part(limb([head, snout], [0.15, 0.11, 0.09]), colour, 215))
    muzzle = second if species.pattern == "plain" else third
    parts.append(Part(ellipse(*(snout + (0.005, 0.01)), 0.055, 0.05, down), muzzle, 220))
    parts.append(Part(ellipse(*(snout + polar(down, 0.045)), 0.022, points=10), _EYE, 225))
    parts.append(Part(ellipse(*(head + (0.03, -0.035)), 0.02, points=10), _EYE, 225))
    return parts


def frog(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: a squat body, bulging eyes, folded hind legs, spread toes."""
    colour, second, eye_colour = species.colours
    girth, leg = _factor(species, "girth"), _factor(species, "leg")
    dark = _shade(colour, 0.85)
    parts = []
    for side in (1, -1):
        fold = rng.uniform(-0.08, 0.1)
        hip, knee = np.array([-0.24, 0.12]), np.array([0.0 + fold, 0.2 + 0.17 * leg])
        heel = np.array([-0.36 + fold / 2, 0.24 + 0.1 * leg])
        foot = heel + polar(35 + rng.uniform(-15, 15), 0.2 * leg)
        strokes = [
            limb([heel, (heel + foot) / 2, foot], [0.05, 0.05, 0.04]),
            limb([knee, (knee + heel) / 2, heel], [0.1, 0.1, 0.06]),
            limb([hip, (hip + knee) / 2, knee], [0.18, 0.17, 0.1]),
        ]
        toes = [limb([foot, foot + polar(a, 0.11)], [0.03, 0.02]) for a in (5, 40, 75)]
        elbow = np.array([0.16, 0.3]) + rng.uniform(-0.03, 0.03, 2)
        hand = elbow + polar(rng.uniform(-10, 35), 0.15)
        strokes.append(limb([(0.12, 0.16), elbow, hand], [0.1, 0.07, 0.05]))
        toes += [limb([hand, hand + polar(a, 0.08)], [0.028, 0.018]) for a in (-25, 10, 45)]
        for outline in toes:
            parts.append(Part(outline * (1, side), dark, 70))
        for height, outline in zip((90, 120, 140, 100), strokes):
            marks = ()
            if height == 140 and species.pattern == "spots":
                marks = (spots(rng, extent(outline), 4, 0.03, second),)
            flipped = tuple(Mark(tuple(o * (1, side) for o in m.outlines), second) for m in marks)
            parts.append(Part(outline * (1, side), dark, height, flipped))
    body = limb(
        [(-0.34, 0), (-0.2, 0), (0.02, 0), (0.22, 0), (0.4, 0)],
        np.array([0.16, 0.34, 0.44, 0.42, 0.4, 0.34, 0.12]) * girth,
    )
    if species.pattern == "lines":
        marks = (lines(extent(body), (0.18, 0.5, 0.82), 0.04, second),)
    else:
        marks = (spots(rng, extent(body), 15, 0.045, second),)
    parts.append(Part(body, colour, 190, marks))
    for side in (1, -1):
        x, y = 0.27, side * 0.15 * girth
        parts.append(Part(ellipse(x, y, 0.075, 0.065), _shade(colour, 1.1), 225))
        parts.append(Part(ellipse(x + 0.01, y + side * 0.015, 0.045, points=14), eye_colour, 235))
        parts.append(Part(ellipse(x + 0.012, y + side * 0.018, 0.03, 0.016, points=10), _EYE, 240))
    return parts


def snail(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: a coiled shell on a long foot, two stalked eyes."""
    colour, second, flesh = species.colours
    spire = _factor(species, "spire")
    rise, reach = rng.uniform(-0.12, 0.06), rng.uniform(-0.06, 0.08)
    head = np.array([0.5 + reach, 0.08 + rise])
    parts = []
    for lean, far in ((-18, True), (8, False)):
        tip = head + polar(-70 - lean + rng.uniform(-12, 12), 0.24)
        tone = _shade(flesh, 0.8 if far else 1)
        parts.append(
            Part(limb([head + (0, 0.04), (head + tip) / 2, tip], [0.05, 0.03, 0.03]), tone, 110)
        )
        parts.append(Part(ellipse(*tip, 0.026, points=12), _EYE, 120))
    foot = limb(
        [
            (-0.66 - reach, 0.34),
            (-0.3, 0.31),
            (0.1, 0.28),
            (0.4 + reach / 2, 0.22),
            head + (0.04, 0.0),
        ],
        [0.02, 0.12, 0.19, 0.2, 0.18, 0.12],
    )
    parts.append(
        Part(foot, flesh, 130, (spots(rng, extent(foot), 40, 0.012, _shade(flesh, 0.75)),))
    )
    whorls = 5
    base, tilt = np.array([-0.04, 0.0]), rng.uniform(150, 172) + 40 * (spire < 2) * 0
    apex = base + polar(180 + tilt - 90 if spire > 2 else 205, 0.16 * spire**1.3)
    for i in range(whorls):
        t = i / whorls
        radius = 0.34 * (1 - t) ** (0.8 if spire > 2 else 1.0) * (0.82 if spire > 2 else 1)
        centre = base + (apex - base) * (t * 1.25)
        ring = ellipse(*centre, radius, radius * 0.92, tilt)
        marks: tuple[Mark, ...] = ()
        if species.pattern == "bands":
            inner, core = (
                ellipse(*centre, radius * f, radius * 0.92 * f, tilt) for f in (0.94, 0.8)
            )
            marks = (Mark((inner,), second), Mark((core,), colour))
        elif species.pattern == "spots":
            marks = (spots(rng, extent(ring), 12, 0.028, second),)
        else:
            rim = ellipse(*centre, radius * 0.93, radius * 0.86, tilt)
            marks = (Mark((ring,), second), Mark((rim,), _shade(colour, 1 - 0.05 * i)))
        parts.append(Part(ring, colour, 170 + 16 * i, marks))
    return parts


def starfish(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: five arms around a disc."""
    colour, second, third = species.colours
    arm = _factor(species, "arm")
    parts = []
    for i in range(5):
        angle = 72 * i + rng.uniform(-9, 9)
        bend = rng.uniform(-24, 24)
        length = 0.5 * rng.uniform(0.9, 1.08)
        middle = polar(angle, length * 0.55)
        path = np.array([polar(angle, 0.04), middle, middle + polar(angle + bend, length * 0.5)])
        outline = limb(path, np.array([0.3, 0.25, 0.18, 0.12, 0.04]) * arm)
        curve = smooth(path, 5)[2:]
        if species.pattern == "lines":
            marks = (Mark((limb(path, [0.05, 0.03, 0.01]),), second),)
        elif species.pattern == "spots":
            dots = [ellipse(*(p + rng.uniform(-0.02, 0.02, 2)), 0.022, points=8) for p in curve]
            marks = (Mark(tuple(dots), second),)
        else:
            marks = (Mark(tuple(_across(curve[1::2], 0.3, 0.012)), third),)
        parts.append(Part(outline, colour, 150, marks))
    disc = ellipse(0, 0, 0.15 * arm**0.5)
    marks = () if species.pattern == "lines" else (spots(rng, extent(disc), 9, 0.02, second),)
    parts.append(Part(disc, colour, 190, marks))
    return parts


def spider(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: two body parts and eight long, bent legs."""
    colour, second, leg_colour = species.colours
    abdomen, leg = _factor(species, "abdomen"), _factor(species, "leg")
    parts = []
    for angle, length in ((28, 0.62), (64, 0.5), (112, 0.46), (150, 0.6)):
        for side in (1, -1):
            a = angle + rng.uniform(-9, 9)
            root = np.array([0.14 - 0.0012 * angle, 0.06])
            knee = root + polar(a - 12 if angle > 90 else a + 16, length * 0.5 * leg)
            foot = knee + polar(a + 26 if angle > 90 else a - 24, length * 0.55 * leg)
            path = np.array([root, knee, foot]) * (1, side)
            curve = smooth(path, 6)[2::3]
            ringed = species.pattern != "plain"
            marks = (
                (Mark(tuple(_across(curve, 0.08, 0.02)), _shade(colour, 1.1)),) if ringed else ()
            )
            parts.append(Part(limb(path, [0.05, 0.042, 0.03, 0.014]), leg_colour, 90, marks))
    rear = ellipse(-0.12 - 0.17 * abdomen, 0, 0.21 * abdomen, 0.17 * abdomen)
    x = -0.12 - 0.17 * abdomen
    if species.pattern == "plain":
        glass = [
            (x - 0.09, -0.05),
            (x, 0),
            (x + 0.09, -0.05),
            (x + 0.09, 0.05),
            (x, 0),
            (x - 0.09, 0.05),
        ]
        marks = (Mark((np.array(glass),), second),)
    elif species.pattern == "bands":
        marks = (bands(rng, extent(rear), 5, 0.42, second),)
    else:
        cross = (ellipse(x, 0, 0.15 * abdomen, 0.022), ellipse(x + 0.04, 0, 0.025, 0.09 * abdomen))
        marks = (Mark(cross, second), spots(rng, extent(rear), 10, 0.014, second))
    parts.append(Part(ellipse(0.09, 0, 0.14, 0.115), _shade(leg_colour, 1.15), 190))
    parts.append(Part(rear, colour, 220, marks))
    for side in (1, -1):
        feeler = limb([(0.2, 0.03), (0.27, 0.06), (0.31, 0.03)], [0.04, 0.035, 0.02])
        parts.append(Part(feeler * (1, side), leg_colour, 150))
        parts.append(Part(ellipse(0.18, side * 0.03, 0.014, points=8), _GLINT, 200))
    return parts


def fish(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: a deep body with fins, a forked tail."""
    colour, second, fin = species.colours
    depth = _factor(species, "depth")
    bend = rng.uniform(-0.07, 0.07)
    parts = []
    root = np.array([-0.36, bend * 0.6])
    spread = 0.2 * rng.uniform(0.85, 1.15)
    tail = [
        root + (0.06, -0.05),
        root + (-0.26, -spread + bend),
        root + (-0.17, bend),
        root + (-0.26, spread + bend),
        root + (0.06, 0.05),
    ]
    parts.append(Part(np.array(tail), fin, 100))
    raised = rng.uniform(0.75, 1.2)
    top = [
        (-0.24, -0.12 * depth),
        (-0.2, -0.26 * depth - 0.05 * raised),
        (0.02, -0.22 * depth - 0.12 * raised),
        (0.2, -0.18 * depth),
    ]
    parts.append(Part(np.concatenate([smooth(top), [(0.0, 0.0)]]), fin, 90))
    under = [(-0.26, 0.1 * depth), (-0.2, 0.24 * depth + 0.06 * raised), (0.0, 0.2 * depth)]
    parts.append(Part(np.concatenate([smooth(under), [(-0.1, 0.0)]]), fin, 90))
    body = limb(
        [root, (-0.18, bend * 0.2), (0.06, 0.0), (0.3, 0.0), (0.5, 0.02)],
        np.array([0.1, 0.26, 0.42, 0.48, 0.44, 0.32, 0.06]) * (1, *[depth] * 5, 1),
    )
    belly = ellipse(0.08, 0.26 * depth, 0.44, 0.14 * depth)
    pattern = _pattern(rng, species, body, second, 4 if species.pattern == "bands" else 20, 0.034)
    parts.append(Part(body, colour, 185, (Mark((belly,), _shade(colour, 1.3)), *pattern)))
    gill = limb([(0.29, -0.12 * depth), (0.25, 0.0), (0.29, 0.13 * depth)], [0.012, 0.018, 0.012])
    parts.append(Part(gill, _shade(colour, 0.65), 175))
    flap = rng.uniform(10, 50)
    side_fin = limb([(0.2, 0.05), (0.2, 0.05) + polar(180 - flap, 0.2)], [0.05, 0.13, 0.11])
    parts.append(Part(side_fin, fin, 205))
    parts.append(Part(ellipse(0.38, -0.05 * depth, 0.04), _GLINT, 205))
    parts.append(Part(ellipse(0.385, -0.05 * depth, 0.026, points=12), _EYE, 210))
    return parts


def flower(rng: np.random.Generator, species: Species) -> list[Part]:
    """A blossom on a stem with leaves: no animal."""
    petal, heart, green = species.colours
    sway = rng.uniform(-0.15, 0.15)
    parts = [Part(limb([(0, -0.1), (sway, 0.25), (sway / 2, 0.62)], [0.03, 0.045]), green, 90)]
    for side, y in ((1, 0.25), (-1, 0.4)):
        root = np.array([sway, y])
        leaf = limb(
            [root, root + polar(-30, 0.15), root + polar(-20, 0.34)], [0.02, 0.13, 0.1, 0.01]
        )
        parts.append(Part((leaf - root) * (side, 1) + root, green, 110))
    count = int(rng.integers(6, 10))
    for i in range(count):
        angle = 360 * i / count + rng.uniform(-6, 6)
        blade = limb(
            [(0, -0.12), (0, -0.12) + polar(angle, 0.15), (0, -0.12) + polar(angle, 0.3)],
            [0.04, 0.13, 0.15, 0.04],
        )
        parts.append(Part(blade, petal, 150))
    parts.append(Part(ellipse(0, -0.12, 0.09), heart, 200))
    return parts


def mushroom(rng: np.random.Generator, species: Species) -> list[Part]:
    """A cap on a stem: no animal either."""
    colour, second, stem = species.colours
    lean, broad = rng.uniform(-0.08, 0.08), rng.uniform(0.38, 0.52)
    parts = [Part(limb([(lean, -0.1), (0, 0.2), (0, 0.5)], [0.14, 0.15, 0.22]), stem, 120)]
    t = np.linspace(np.pi, 2 * np.pi, 20)
    dome = np.stack([lean + broad * np.cos(t), -0.06 + 0.36 * np.sin(t)], 1)
    rim = np.stack([lean + broad * np.cos(t[::-1]), -0.06 - 0.06 * np.sin(t[::-1])], 1)
    cap = np.concatenate([dome, rim])
    parts.append(Part(cap, colour, 190, _pattern(rng, species, cap, second, 12, 0.05)))
    return parts


Plan = Callable[[np.random.Generator, Species], list[Part]]

PLANS: dict[str, Plan] = {
    "Insecta": insect,
    "Aves": bird,
    "Reptilia": lizard,
    "Mammalia": mammal,
    "Amphibia": frog,
    "Mollusca": snail,
    "Animalia": starfish,
    "Arachnida": spider,
    "Actinopterygii": fish,
    "Plantae": flower,
    "Fungi": mushroom,
}

UPRIGHT = frozenset({"Aves", "Mammalia", "Mollusca", "Actinopterygii", "Plantae", "Fungi"})
"""Super-classes that are drawn from the side, so that gravity forbids turning them much."""


def _factor(species: Species, name: str) -> float:
    return species.proportions.get(name, 1.0)


def _shade(colour: Colour, factor: float) -> Colour:
    return tuple(min(255, round(channel * factor)) for channel in colour)


def _pattern(
    rng: np.random.Generator,
    species: Species,
    outline: np.ndarray,
    colour: Colour,
    count: int,
    size: float,
) -> tuple[Mark, ...]:
    """The species' pattern over a whole part."""
    box = extent(outline)
    if species.pattern == "spots":
        return (spots(rng, box, count, size, colour),)
    if species.pattern == "bands":
        return (bands(rng, box, count, 0.42, colour, rng.uniform(-0.03, 0.03)),)
    if species.pattern == "lines":
        return (lines(box, (0.35, 0.55), size, colour),)
    return ()


def _across(curve: np.ndarray, length: float, width: float) -> list[np.ndarray]:
    """Short bars across a curve, one at each of its points."""
    along = np.gradient(curve, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    return [
        limb([p - n * length / 2, p + n * length / 2], [width, width])
        for p, n in zip(curve, normal)
    ]
