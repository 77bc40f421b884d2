"""Body plans of invertebrates: a species becomes parts, in a different pose each time."""

from __future__ import annotations

import numpy as np

from inatdet.datasets.mini.looks import EYE, GLINT, across, factor, pattern, shade
from inatdet.datasets.mini.shapes import (
    Mark,
    Part,
    bands,
    ellipse,
    extent,
    limb,
    polar,
    smooth,
    spots,
)
from inatdet.datasets.mini.species import Species


def insect(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: three body segments, six legs, two pairs of wings."""
    wing_color, pattern_color, body_color = species.colors
    wing, girth = factor(species, "wing"), factor(species, "girth")
    abdomen = factor(species, "abdomen")
    parts = []
    for angle, root in ((52, 0.14), (95, 0.06), (135, -0.02)):
        for side in (1, -1):
            a = angle + rng.uniform(-12, 12)
            knee = (root, 0.05) + polar(a - 12, 0.2)
            foot = knee + polar(a + 14, 0.2)
            leg = limb([(root, 0.05), knee, foot], [0.04, 0.035, 0.015]) * (1, side)
            parts.append(Part(leg, shade(body_color, 0.8), 60))
    sweep = rng.uniform(-14, 16)
    for length, broad, angle, height in ((0.5, 0.3, 128, 110), (0.62, 0.3, 102, 135)):
        tip = (0.06, 0.05) + polar(angle + sweep, length * wing)
        middle = ((0.06, 0.05) + tip) / 2
        broad *= wing**0.5 * rng.uniform(0.9, 1.1)
        outline = limb([(0.06, 0.05), middle, tip], [0.05, broad * 0.8, broad, broad * 0.75, 0.02])
        mark = pattern(rng, species, outline, pattern_color, 5, 0.035)
        for flip in (1, -1):
            marks = tuple(Mark(tuple(o * (1, flip) for o in m.outlines), m.color) for m in mark)
            parts.append(Part(outline * (1, flip), wing_color, height, marks))
    rear = ellipse((-0.2 * abdomen - 0.05, 0), 0.25 * abdomen, 0.1 * girth)
    band = bands(rng, extent(rear), 5, 0.4, shade(wing_color, 0.85))
    parts.append(Part(rear, body_color, 190, (band,)))
    parts.append(Part(ellipse((0.08, 0), 0.13, 0.105 * girth), shade(body_color, 1.25), 215))
    parts.append(Part(ellipse((0.25, 0), 0.085, 0.085), body_color, 200))
    for side in (1, -1):
        parts.append(Part(ellipse((0.28, side * 0.06), 0.04, 0.035, points=12), EYE, 225))
        reach = polar(rng.uniform(18, 48), 0.26)
        feeler = limb(
            [(0.31, 0.03), (0.31, 0.03) + reach * 0.6, (0.3, 0.05) + reach], [0.022, 0.012]
        )
        parts.append(Part(feeler * (1, side), shade(body_color, 0.8), 120))
    return parts


def snail(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from the side: a coiled shell on a long foot, two stalked eyes."""
    color, second, flesh = species.colors
    spire = factor(species, "spire")
    rise, reach = rng.uniform(-0.12, 0.06), rng.uniform(-0.06, 0.08)
    head = np.array([0.5 + reach, 0.08 + rise])
    parts = []
    for lean, far in ((-18, True), (8, False)):
        tip = head + polar(-70 - lean + rng.uniform(-12, 12), 0.24)
        tone = shade(flesh, 0.8 if far else 1)
        parts.append(
            Part(limb([head + (0, 0.04), (head + tip) / 2, tip], [0.05, 0.03, 0.03]), tone, 110)
        )
        parts.append(Part(ellipse(tip, 0.026, points=12), EYE, 120))
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
    parts.append(Part(foot, flesh, 130, (spots(rng, extent(foot), 40, 0.012, shade(flesh, 0.75)),)))
    whorls = 5
    base, tilt = np.array([-0.04, 0.0]), rng.uniform(150, 172)
    apex = base + polar(180 + tilt - 90 if spire > 2 else 205, 0.16 * spire**1.3)
    for i in range(whorls):
        t = i / whorls
        radius = 0.34 * (1 - t) ** (0.8 if spire > 2 else 1.0) * (0.82 if spire > 2 else 1)
        center = base + (apex - base) * (t * 1.25)
        ring = ellipse(center, radius, radius * 0.92, tilt)
        marks: tuple[Mark, ...] = ()
        if species.pattern == "bands":
            inner, core = (
                ellipse(center, radius * f, radius * 0.92 * f, tilt) for f in (0.94, 0.8)
            )
            marks = (Mark((inner,), second), Mark((core,), color))
        elif species.pattern == "spots":
            marks = (spots(rng, extent(ring), 12, 0.028, second),)
        else:
            rim = ellipse(center, radius * 0.93, radius * 0.86, tilt)
            marks = (Mark((ring,), second), Mark((rim,), shade(color, 1 - 0.05 * i)))
        parts.append(Part(ring, color, 170 + 16 * i, marks))
    return parts


def starfish(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: five arms around a disc."""
    color, second, third = species.colors
    arm = factor(species, "arm")
    marks: tuple[Mark, ...]
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
            dots = [ellipse(p + rng.uniform(-0.02, 0.02, 2), 0.022, points=8) for p in curve]
            marks = (Mark(tuple(dots), second),)
        else:
            marks = (Mark(tuple(across(curve[1::2], 0.3, 0.012)), third),)
        parts.append(Part(outline, color, 150, marks))
    disc = ellipse((0, 0), 0.15 * arm**0.5)
    marks = () if species.pattern == "lines" else (spots(rng, extent(disc), 9, 0.02, second),)
    parts.append(Part(disc, color, 190, marks))
    return parts


def spider(rng: np.random.Generator, species: Species) -> list[Part]:
    """Seen from above: two body parts and eight long, bent legs."""
    color, second, leg_color = species.colors
    abdomen, leg = factor(species, "abdomen"), factor(species, "leg")
    marks: tuple[Mark, ...]
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
            marks = (Mark(tuple(across(curve, 0.08, 0.02)), shade(color, 1.1)),) if ringed else ()
            parts.append(Part(limb(path, [0.05, 0.042, 0.03, 0.014]), leg_color, 90, marks))
    rear = ellipse((-0.12 - 0.17 * abdomen, 0), 0.21 * abdomen, 0.17 * abdomen)
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
        cross = (
            ellipse((x, 0), 0.15 * abdomen, 0.022),
            ellipse((x + 0.04, 0), 0.025, 0.09 * abdomen),
        )
        marks = (Mark(cross, second), spots(rng, extent(rear), 10, 0.014, second))
    parts.append(Part(ellipse((0.09, 0), 0.14, 0.115), shade(leg_color, 1.15), 190))
    parts.append(Part(rear, color, 220, marks))
    for side in (1, -1):
        feeler = limb([(0.2, 0.03), (0.27, 0.06), (0.31, 0.03)], [0.04, 0.035, 0.02])
        parts.append(Part(feeler * (1, side), leg_color, 150))
        parts.append(Part(ellipse((0.18, side * 0.03), 0.014, points=8), GLINT, 200))
    return parts
