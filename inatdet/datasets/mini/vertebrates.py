"""Body plans of vertebrates: a species becomes parts, in a different pose each time."""

from __future__ import annotations

import numpy as np

from inatdet.datasets.mini.looks import EYE, GLINT, across, factor, pattern, shade
from inatdet.datasets.mini.shapes import (
    Mark,
    Part,
    Point,
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


def bird(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: body, neck, head with a beak, folded wing, tail, two thin legs."""
    color, second, belly = species.colors
    beak, tail, leg = (factor(species, key) for key in ("beak", "tail", "leg"))
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
    parts.append(Part(body, color, 180, (Mark((breast,), belly),)))
    size = rng.uniform(0.93, 1.07)
    parts.append(Part(ellipse(head, 0.165 * size, 0.15 * size), color, 200))
    if crest := species.proportions.get("crest"):
        tip = head + (-0.16, -0.22 * crest + nod)
        parts.append(
            Part(
                limb([head + (0.04, -0.1), head + (-0.06, -0.18), tip], [0.12, 0.08, 0.01]),
                color,
                190,
            )
        )
    bill = head + np.array([[0.12, -0.05], [0.15 + 0.15 * beak, 0.02 + 0.02 * beak], [0.12, 0.06]])
    parts.append(Part(bill, (206, 146, 54) if beak < 2 else (70, 58, 50), 170))
    parts.append(Part(ellipse((head[0] + 0.05, head[1] - 0.025), 0.03, points=12), EYE, 215))
    parts.append(Part(ellipse((head[0] + 0.06, head[1] - 0.035), 0.009, points=8), GLINT, 220))
    wing = limb(
        [(0.16, -0.04), (-0.04, 0.02), (-0.28, 0.1 + lift / 4), (-0.42, 0.12 + lift / 3)],
        [0.06, 0.24, 0.24, 0.14, 0.02],
    )
    parts.append(
        Part(
            wing,
            second if species.pattern == "plain" else shade(color, 0.9),
            225,
            pattern(rng, species, wing, second, 6, 0.03),
        )
    )
    return parts


def lizard(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: a winding body with a long tail and four splayed legs."""
    color, second, leg_color = species.colors
    girth, tail = factor(species, "girth"), factor(species, "tail")
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
            parts.append(Part(limb([root, knee, foot], [0.09, 0.07, 0.04]), leg_color, 90))
            for spread in (-35, 0, 35):
                toe = foot + polar(angle + spread, 0.06)
                parts.append(Part(limb([foot, toe], [0.02, 0.012]), leg_color, 80))
    widths = [0.006, 0.03, 0.05, 0.07, 0.1, 0.16, 0.19, 0.19, 0.17, 0.12, 0.13, 0.1]
    body = limb(spine, np.array(widths) * girth)
    marks: tuple[Mark, ...] = ()
    if species.pattern == "lines":
        stripe = [limb(spine + (0, dy), [0.005, 0.02, 0.03, 0.03, 0.02]) for dy in (-0.045, 0.045)]
        marks = (Mark(tuple(stripe), second),)
    elif species.pattern == "bands":
        curve = smooth(spine, 5)[6:-6:4]
        marks = (Mark(tuple(across(curve, 0.3, 0.022)), second),)
    elif species.pattern == "spots":
        places = rng.uniform(-0.75, 0.4, 34)
        outlines = [
            ellipse(at(p) + (0, rng.uniform(-0.07, 0.07)), rng.uniform(0.016, 0.03), points=10)
            for p in places
        ]
        marks = (Mark(tuple(outlines), second),)
    parts.append(Part(body, color, 180, marks))
    tangent = np.degrees(np.arctan2(*(spine[-1] - spine[-2])[::-1]))
    head = at(0.5)
    parts.append(Part(ellipse(head, 0.13, 0.085 * girth**0.5, tangent), color, 200))
    for side in (1, -1):
        eye = head + polar(tangent + side * 62, 0.07)
        parts.append(Part(ellipse(eye, 0.022, points=10), EYE, 220))
    return parts


def mammal(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: four legs, neck, head with ears and a snout, a tail."""
    color, second, third = species.colors
    leg, neck, ear, tail = (factor(species, key) for key in ("leg", "neck", "ear", "tail"))
    bush = factor(species, "bush")
    parts = []
    end = polar(rng.uniform(125, 215), 0.34 * tail)
    path: list[Point] = [(-0.36, -0.1), (-0.42, -0.1) + end * 0.5, (-0.42, -0.12) + end]
    widths = np.array([0.06, 0.07, 0.06, 0.02]) * (1, bush, bush, bush)
    parts.append(Part(limb(path, widths), color, 90))
    if bush > 2:
        parts.append(Part(ellipse(path[-1], 0.05), second, 95))
    swing = rng.uniform(-0.12, 0.12)
    for far in (True, False):
        for x, direction in ((0.24, 1), (-0.3, -1)):
            forward = direction * swing * (1 if far else -1) + rng.uniform(-0.02, 0.02)
            x_root = x + (0.05 if far else 0)
            foot = np.array([x_root + forward, 0.14 + 0.4 * leg])
            path = [(x_root, 0.02), (x_root + forward * 0.3, 0.12 + 0.16 * leg), foot]
            stroke = limb(path, [0.17, 0.11, 0.075, 0.07])
            tone = shade(color, 0.72) if far else color
            marks = (
                ()
                if far or species.pattern != "bands"
                else (bands(rng, extent(stroke), 1, 0.01, tone),)
            )
            parts.append(Part(stroke, tone, 70 if far else 140, marks))
            hoof = ellipse((foot[0] + 0.02, foot[1]), 0.05, 0.03, points=12)
            parts.append(
                Part(hoof, shade(third if leg < 1 else (60, 50, 44), 0.8), 75 if far else 145)
            )
    body = limb(
        [(-0.42, 0.0), (-0.3, -0.02), (0.0, 0.01), (0.24, -0.03), (0.36, -0.04)],
        [0.14, 0.34, 0.35, 0.36, 0.33, 0.12],
    )
    head = np.array([0.34 + 0.14 * neck, -0.08 - 0.24 * neck + rng.uniform(-0.05, 0.09)])
    throat = limb([(0.2, -0.04), (0.3 + 0.05 * neck, -0.12 * neck), head], [0.3, 0.2, 0.15])
    hide = pattern(rng, species, body, second, 8 if species.pattern == "bands" else 22, 0.036)
    parts.append(Part(body, color, 185, hide))
    parts.append(Part(throat, color, 190, pattern(rng, species, throat, second, 5, 0.028)))
    down = rng.uniform(8, 30)
    snout = head + polar(down, 0.14)
    for side in (-0.02, 0.05):
        top = head + (-0.06 - side, -0.1 - 0.09 * ear)
        stroke = limb(
            [head + (-0.05 - side, -0.04), (head + top) / 2 + (-0.035, -0.01), top],
            [0.06, 0.085, 0.02],
        )
        parts.append(Part(stroke, shade(color, 0.85 if side < 0 else 1.0), 205))
    parts.append(Part(ellipse(head, 0.125, 0.1, down), color, 215))
    parts.append(Part(limb([head, snout], [0.15, 0.11, 0.09]), color, 215))
    muzzle = second if species.pattern == "plain" else third
    parts.append(Part(ellipse(snout + (0.005, 0.01), 0.055, 0.05, down), muzzle, 220))
    parts.append(Part(ellipse(snout + polar(down, 0.045), 0.022, points=10), EYE, 225))
    parts.append(Part(ellipse(head + (0.03, -0.035), 0.02, points=10), EYE, 225))
    return parts


def frog(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: a squat body, bulging eyes, folded hind legs, spread toes."""
    color, second, eye_color = species.colors
    girth, leg = factor(species, "girth"), factor(species, "leg")
    dark = shade(color, 0.85)
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
        marks: tuple[Mark, ...]
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
    parts.append(Part(body, color, 190, marks))
    for side in (1, -1):
        x, y = 0.27, side * 0.15 * girth
        parts.append(Part(ellipse((x, y), 0.075, 0.065), shade(color, 1.1), 225))
        parts.append(Part(ellipse((x + 0.01, y + side * 0.015), 0.045, points=14), eye_color, 235))
        parts.append(Part(ellipse((x + 0.012, y + side * 0.018), 0.03, 0.016, points=10), EYE, 240))
    return parts


def fish(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: a deep body with fins, a forked tail."""
    color, second, fin = species.colors
    depth = factor(species, "depth")
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
    belly = ellipse((0.08, 0.26 * depth), 0.44, 0.14 * depth)
    coat = pattern(rng, species, body, second, 4 if species.pattern == "bands" else 20, 0.034)
    parts.append(Part(body, color, 185, (Mark((belly,), shade(color, 1.3)), *coat)))
    gill = limb([(0.29, -0.12 * depth), (0.25, 0.0), (0.29, 0.13 * depth)], [0.012, 0.018, 0.012])
    parts.append(Part(gill, shade(color, 0.65), 175))
    flap = rng.uniform(10, 50)
    side_fin = limb([(0.2, 0.05), (0.2, 0.05) + polar(180 - flap, 0.2)], [0.05, 0.13, 0.11])
    parts.append(Part(side_fin, fin, 205))
    parts.append(Part(ellipse((0.38, -0.05 * depth), 0.04), GLINT, 205))
    parts.append(Part(ellipse((0.385, -0.05 * depth), 0.026, points=12), EYE, 210))
    return parts
