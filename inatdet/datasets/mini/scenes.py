"""Images as a photographer would take them: animals in a landscape, light, shadow and a camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageChops
import PIL.ImageDraw
import PIL.ImageFilter

from inatdet.datasets.mini.body_plans import PLANS, UPRIGHT
from inatdet.datasets.mini.habitats import HABITATS, HOMES, background, noise
from inatdet.datasets.mini.shapes import Color, Part, as_color, limb, polar
from inatdet.datasets.mini.species import Species

_FINER = 2  # animals are drawn this much larger than needed, for smooth edges
_SEEN = 96  # of 255; what an animal must cover of a pixel to have it in its box

Box = tuple[int, int, int, int]
"""x, y, width and height in pixels."""


@dataclass(frozen=True)
class Sprite:
    """An animal, drawn and lit.

    Attributes:
        rgb: float32 `[height, width, 3]`, 0..255.
        alpha: float32 `[height, width]`, 0..1.
    """

    rgb: np.ndarray
    alpha: np.ndarray


def scene(
    rng: np.random.Generator, species: Species, width: int, height: int, animals: int = 1
) -> tuple[PIL.Image.Image, list[Box]]:
    """Draws one image.

    Args:
        rng: determines everything that the arguments leave open.
        species: which animals are in it, or live where it was taken.
        width: in pixels.
        height: in pixels.
        animals: the number of animals; 0 for an image of the habitat alone.

    Returns:
        The image, and a tight box `x, y, width, height` in pixels around each animal's pixels.
    """
    at_home = rng.random() < 0.67
    choice = HOMES[species.super_class] if at_home else tuple(HABITATS)
    habitat = choice[rng.integers(len(choice))]
    image = background(rng, width, height, habitat)
    light = polar(rng.uniform(200, 340))
    boxes: list[Box] = []
    for _ in range(animals):
        for _attempt in range(8):
            sprite = draw_animal(rng, species, _length(rng, width, height, animals), light)
            x, y = _place(rng, sprite.alpha.shape[::-1], (width, height))
            box = _box(sprite.alpha, x, y, width, height)
            if box and all(_overlap(box, other) < 0.15 for other in boxes):
                _paste(image, sprite, x, y, -light, 0.15 if habitat == "water" else 0.5)
                boxes.append(box)
                break
    picture = PIL.Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    if habitat in ("meadow", "water") and rng.random() < 0.5:
        _foreground(rng, picture)
    return _photograph(rng, picture), boxes


def draw_animal(
    rng: np.random.Generator, species: Species, length: float, light: np.ndarray
) -> Sprite:
    """Draws an individual of a species.

    Args:
        rng: determines its pose, colors, rotation and so on.
        species: which species to draw.
        length: the longer side of its box, in pixels.
        light: where the light comes from: a unit vector, x to the right and y down.
    """
    parts = PLANS[species.super_class](rng, species)
    upright = species.super_class in UPRIGHT
    turn = np.radians(rng.normal(0, 9) if upright else rng.uniform(0, 360))
    c, s = np.cos(turn), np.sin(turn)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    # From a slightly oblique view, it looks shorter in one direction.
    view = np.array(
        [[rng.uniform(0.82, 1.0), 0], [rng.uniform(-0.12, 0.12), rng.uniform(0.88, 1.0)]]
    )
    matrix = np.diag([flip, 1.0]) @ view @ np.array([[c, s], [-s, c]])
    everything = np.concatenate([part.outline for part in parts]) @ matrix
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = length / (high - low).max() * _FINER
    margin = 3 * _FINER
    width, height = (int(n) for n in np.ceil((high - low) * scale + 2 * margin))
    size = (width + width % _FINER, height + height % _FINER)
    tint = np.clip(rng.normal(1, 0.05, 3) * rng.normal(1, 0.1), 0.65, 1.35)
    rgb, alpha, heights = _draw(parts, size, lambda p: (p @ matrix - low) * scale + margin)

    lit = _light(heights, light, length * _FINER)
    texture = 0.86 + 0.28 * noise(rng, *size, max(2.5, length * _FINER / 40))
    color = np.asarray(rgb, np.float32) * tint.astype(np.float32) * (lit * texture)[..., None]
    small = PIL.Image.fromarray(np.clip(color, 0, 255).astype(np.uint8)).reduce(_FINER)
    return Sprite(np.asarray(small, np.float32), np.asarray(alpha.reduce(_FINER), np.float32) / 255)


def _draw(
    parts: Sequence[Part], size: tuple[int, int], to_pixels: Callable[[np.ndarray], np.ndarray]
) -> tuple[PIL.Image.Image, PIL.Image.Image, PIL.Image.Image]:
    """Flat colors, coverage and heights of all parts."""
    # The background color is visible at smoothed edges, so it is an average of the parts.
    base = as_color(np.mean([part.color for part in parts], axis=0))
    rgb = PIL.Image.new("RGB", size, base)
    alpha, heights = PIL.Image.new("L", size), PIL.Image.new("L", size)
    pens = [PIL.ImageDraw.Draw(image) for image in (rgb, alpha, heights)]
    for part in parts:
        polygon = to_pixels(part.outline).ravel().tolist()
        fills: tuple[Color | int, ...] = (part.color, 255, part.height)
        for pen, fill in zip(pens, fills):
            pen.polygon(polygon, fill=fill)
        if part.marks:
            inside = PIL.Image.new("L", size)
            PIL.ImageDraw.Draw(inside).polygon(polygon, fill=255)
        for mark in part.marks:
            mask = PIL.Image.new("L", size)
            pen = PIL.ImageDraw.Draw(mask)
            for outline in mark.outlines:
                pen.polygon(to_pixels(outline).ravel().tolist(), fill=255)
            rgb.paste(mark.color, mask=PIL.ImageChops.multiply(mask, inside))
    return rgb, alpha, heights


def _light(heights: PIL.Image.Image, light: np.ndarray, length: float) -> np.ndarray:
    """How bright the light makes each pixel, with the blurred heights as a relief."""
    bright = np.full(heights.size[::-1], 0.95, np.float32)
    for radius, strength in ((length / 90 + 1, 0.011), (length / 22, 0.03)):
        relief = np.asarray(heights.filter(PIL.ImageFilter.GaussianBlur(radius)), np.float32)
        dy, dx = np.gradient(relief)
        bright -= (dx * light[0] + dy * light[1]) * strength * (radius / 4)
    return np.clip(bright, 0.5, 1.45)


def _length(rng: np.random.Generator, width: int, height: int, animals: int) -> float:
    """The longer side of an animal's box in pixels: mostly 40 to 90 % of the image's short side."""
    share = rng.uniform(0.24, 0.4) if rng.random() < 0.1 else rng.uniform(0.42, 0.9)
    if animals > 1:
        share = rng.uniform(0.26, 0.5)
    return share * min(width, height)


def _place(
    rng: np.random.Generator, size: tuple[int, int], room: tuple[int, int]
) -> tuple[int, int]:
    """The top left corner of a sprite; sometimes a part of the animal is cut off."""
    cut = 0.12 if rng.random() < 0.12 else 0.0
    place = []
    for length, available in zip(size, room):
        low, high = -cut * length, available - length * (1 - cut)
        # Photographers aim at the animal, so it is closer to the middle than by chance.
        place.append(round(low + (high - low) * rng.beta(1.6, 1.6)))
    return place[0], place[1]


def _box(alpha: np.ndarray, x: int, y: int, width: int, height: int) -> Box | None:
    """The box around an animal's pixels inside the image; None if too little of it is visible."""
    seen = alpha * 255 > _SEEN
    # What is outside of the image is not part of the box.
    rows, columns = np.nonzero(
        seen[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)]
    )
    if not len(rows) or np.ptp(rows) < 7 or np.ptp(columns) < 7:
        return None
    left, top = columns.min() + max(x, 0), rows.min() + max(y, 0)
    return int(left), int(top), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def _overlap(a: Box, b: Box) -> float:
    """The share of the smaller box that the other covers."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(w, 0) * max(h, 0) / min(a[2] * a[3], b[2] * b[3])


def _paste(
    image: np.ndarray, sprite: Sprite, x: int, y: int, away: np.ndarray, shadow: float
) -> None:
    """Lays a sprite and its shadow on an image, in place."""
    height, width = image.shape[:2]
    reach = max(3, round(0.03 * max(sprite.alpha.shape)))
    coverage = PIL.Image.fromarray(np.uint8(sprite.alpha * 255))
    cast = PIL.Image.new("L", (width, height))
    cast.paste(coverage, (x + round(away[0] * reach), y + round(away[1] * reach)))
    cast = cast.filter(PIL.ImageFilter.GaussianBlur(reach))
    image *= 1 - shadow * np.asarray(cast, np.float32)[..., None] / 255
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + sprite.alpha.shape[1], width), min(y + sprite.alpha.shape[0], height)
    alpha = sprite.alpha[top - y : bottom - y, left - x : right - x, None]
    target = image[top:bottom, left:right]
    target += (sprite.rgb[top - y : bottom - y, left - x : right - x] - target) * alpha


def _foreground(rng: np.random.Generator, picture: PIL.Image.Image) -> None:
    """A few blades of grass in front of everything."""
    width, height = picture.size
    pen = PIL.ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(1, 5))):
        x, top = rng.uniform(0, width), rng.uniform(0.25, 0.8) * height
        lean = rng.normal(0, width / 10)
        path = [(x, height + 5), (x + lean * 0.3, (height + top) / 2), (x + lean, top)]
        tone = np.clip(np.array([84, 124, 50]) * rng.uniform(0.7, 1.3), 0, 255).astype(int)
        pen.polygon(limb(path, [5, 4, 1]).ravel().tolist(), fill=tuple(tone.tolist()))


def _photograph(rng: np.random.Generator, picture: PIL.Image.Image) -> PIL.Image.Image:
    """Focus, exposure, white balance, vignette and sensor noise."""
    sharp = picture.filter(PIL.ImageFilter.GaussianBlur(rng.uniform(0.3, 0.75)))
    image = np.asarray(sharp, np.float32)
    height, width = image.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - rng.uniform(0.05, 0.22) * (x * x + y * y)
    slope = 1 + rng.uniform(-0.14, 0.14) * x + rng.uniform(-0.14, 0.14) * y
    gains = rng.normal(1, 0.05, 3) * rng.uniform(0.82, 1.18)
    image = image * (vignette * slope).astype(np.float32)[..., None] * gains.astype(np.float32)
    contrast = rng.uniform(0.85, 1.15)
    image = (image - 118) * contrast + 118
    image += rng.standard_normal(image.shape[:2], np.float32)[..., None] * rng.uniform(1, 5)
    return PIL.Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
