"""Backgrounds: textured ground with clutter, but no animals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter

from inatdet.datasets.mini.shapes import Color, Path, as_color, ellipse, limb, polar

Palette = tuple[Color, Color, Color]
Size = tuple[float, float]
"""Width and height in pixels."""

Clutter = Callable[[PIL.ImageDraw.ImageDraw], None]
"""Draws what lies on the ground."""

Habitat = Callable[[np.random.Generator, int, int], tuple[np.ndarray, Clutter]]
"""Makes the ground of an image of a width and height, float32 `[height, width, 3]`, and clutter."""


def noise(rng: np.random.Generator, width: int, height: int, cell: float) -> np.ndarray:
    """Smooth noise in 0..1, float32 `[height, width]`, with blobs of about `cell` pixels."""
    shape = (max(2, round(height / cell)), max(2, round(width / cell)))
    small = PIL.Image.fromarray(rng.random(shape, np.float32))
    large = small.resize((width, height), PIL.Image.Resampling.BICUBIC)
    values: np.ndarray = np.clip(np.asarray(large), 0, 1)
    return values


def ground(
    rng: np.random.Generator, width: int, height: int, palette: Palette, stretch: float = 1.0
) -> np.ndarray:
    """Mixed colors, float32 `[height, width, 3]`, 0..255; `stretch` > 1 makes streaks."""
    coarse = noise(rng, width, height, max(width, height) / 4)
    middle = noise(rng, width, round(height / stretch), 18 / stretch)
    fine = noise(rng, width, round(height / stretch), 5 / stretch)
    if stretch != 1.0:
        middle, fine = (
            np.asarray(PIL.Image.fromarray(layer).resize((width, height)))
            for layer in (middle, fine)
        )
    first, second, third = (np.array(color, np.float32) for color in palette)
    mix = (0.55 * coarse + 0.45 * middle)[..., None]
    image = first + (second - first) * np.clip(mix * 1.6 - 0.3, 0, 1)
    image += (third - image) * np.clip(fine * 1.5 - 0.6, 0, 1)[..., None]
    lit: np.ndarray = image * (0.85 + 0.3 * fine[..., None])
    return lit


def _vary(rng: np.random.Generator, color: Color, amount: float = 28) -> Color:
    shift = rng.normal(0, amount / 2, 3) + rng.normal(0, amount)
    return as_color(np.clip(np.array(color) + shift, 0, 255))


def _polygon(draw: PIL.ImageDraw.ImageDraw, outline: np.ndarray, color: Color) -> None:
    draw.polygon(outline.ravel().tolist(), fill=color)


def _blades(
    rng: np.random.Generator,
    draw: PIL.ImageDraw.ImageDraw,
    size: Size,
    color: Color,
    count: int,
    length: float,
) -> None:
    """Blades of grass, which grow upwards."""
    for _ in range(count):
        x, y = rng.uniform(0, size[0]), rng.uniform(0.2, 1.15) * size[1]
        reach = polar(rng.uniform(-115, -65), length * rng.uniform(0.5, 1.3))
        tip = (x, y) + reach + (rng.normal(0, length / 5), 0)
        path: Path = [(x, y), (x, y) + reach * 0.55, tip]
        _polygon(draw, limb(path, [3.0, 2.4, 0.5]), _vary(rng, color))


def _leaves(
    rng: np.random.Generator,
    draw: PIL.ImageDraw.ImageDraw,
    size: Size,
    color: Color,
    count: int,
    length: float,
) -> None:
    """Fallen leaves with a midrib."""
    for _ in range(count):
        center = rng.uniform(0, 1, 2) * size
        along = polar(rng.uniform(0, 360), length * rng.uniform(0.5, 1.2))
        tone = _vary(rng, color, 34)
        path = [center - along / 2, center + rng.normal(0, length / 14, 2), center + along / 2]
        broad = np.hypot(*along) * rng.uniform(0.3, 0.55)
        _polygon(draw, limb(path, [1, broad * 0.8, broad, broad * 0.7, 1]), tone)
        _polygon(draw, limb(path, [1.5, 1]), as_color(c * 0.75 for c in tone))


def _pebbles(
    rng: np.random.Generator,
    draw: PIL.ImageDraw.ImageDraw,
    size: Size,
    color: Color,
    count: int,
    radius: float,
) -> None:
    for _ in range(count):
        x, y = rng.uniform(0, 1, 2) * size
        r = radius * rng.uniform(0.4, 1.5)
        flat, angle, tone = rng.uniform(0.6, 0.95), rng.uniform(0, 180), _vary(rng, color)
        dark = as_color(c * 0.6 for c in tone)
        _polygon(draw, ellipse((x + r * 0.12, y + r * 0.2), r, r * flat, angle, 16), dark)
        _polygon(draw, ellipse((x, y), r, r * flat, angle, 16), tone)


def _twigs(
    rng: np.random.Generator,
    draw: PIL.ImageDraw.ImageDraw,
    size: Size,
    color: Color,
    count: int,
    width: float,
) -> None:
    for _ in range(count):
        start = rng.uniform(-0.1, 1.1, 2) * size
        along = polar(rng.uniform(0, 360), rng.uniform(0.4, 1.1) * max(size))
        path = [start, start + along * 0.5 + rng.normal(0, 12, 2), start + along]
        w = width * rng.uniform(0.5, 1.3)
        tone = _vary(rng, color, 20)
        _polygon(draw, limb(path, [w, w * 0.8, w * 0.3]), tone)
        _polygon(
            draw,
            limb([p + (0, w * 0.22) for p in path], [w * 0.4, w * 0.1]),
            as_color(c * 0.7 for c in tone),
        )


def _bubbles(
    rng: np.random.Generator,
    draw: PIL.ImageDraw.ImageDraw,
    size: Size,
    color: Color,
    count: int,
    radius: float,
) -> None:
    for _ in range(count):
        x, y = rng.uniform(0, 1, 2) * size
        r = radius * rng.uniform(0.3, 1.4)
        draw.ellipse([x - r, y - r, x + r, y + r], outline=_vary(rng, color, 16))


def _weed(
    rng: np.random.Generator,
    draw: PIL.ImageDraw.ImageDraw,
    size: Size,
    color: Color,
    count: int,
    length: float,
) -> None:
    """Water plants, waving."""
    for _ in range(count):
        x, y = rng.uniform(0, size[0]), size[1] * rng.uniform(0.8, 1.2)
        steps = [(x + rng.normal(0, length / 9), y - length * t) for t in (0, 0.3, 0.6, 1.0)]
        _polygon(draw, limb(steps, [7, 6, 4, 1]), _vary(rng, color, 20))


def _meadow(rng: np.random.Generator, w: int, h: int) -> tuple[np.ndarray, Clutter]:
    palette = ((62, 98, 40), (116, 140, 62), (168, 164, 92))

    def clutter(draw: PIL.ImageDraw.ImageDraw) -> None:
        _blades(rng, draw, (w, h), (104, 142, 58), int(rng.integers(25, 80)), 60)
        _pebbles(rng, draw, (w, h), (222, 206, 120), int(rng.integers(0, 10)), 3)

    return ground(rng, w, h, palette), clutter


def _litter(rng: np.random.Generator, w: int, h: int) -> tuple[np.ndarray, Clutter]:
    palette = ((74, 54, 36), (128, 92, 56), (162, 128, 84))

    def clutter(draw: PIL.ImageDraw.ImageDraw) -> None:
        _leaves(rng, draw, (w, h), (150, 100, 54), int(rng.integers(12, 34)), 52)
        _twigs(rng, draw, (w, h), (96, 74, 54), int(rng.integers(0, 5)), 5)

    return ground(rng, w, h, palette), clutter


def _sand(rng: np.random.Generator, w: int, h: int) -> tuple[np.ndarray, Clutter]:
    palette = ((196, 172, 130), (220, 200, 162), (166, 142, 106))

    def clutter(draw: PIL.ImageDraw.ImageDraw) -> None:
        _pebbles(rng, draw, (w, h), (160, 146, 126), int(rng.integers(4, 30)), 6)
        _twigs(rng, draw, (w, h), (128, 104, 76), int(rng.integers(0, 3)), 4)

    return ground(rng, w, h, palette), clutter


def _water(rng: np.random.Generator, w: int, h: int) -> tuple[np.ndarray, Clutter]:
    deep = ((20, 66, 98), (38, 112, 128), (74, 150, 150))
    green = ((36, 76, 62), (64, 116, 84), (110, 150, 110))
    image = ground(rng, w, h, deep if rng.random() < 0.65 else green)
    ripples = np.abs(noise(rng, w, h, 26) - noise(rng, w, h, 30))[..., None]
    image += np.clip(0.09 - ripples, 0, 1) * 380
    image *= np.linspace(1.2, 0.72, h, dtype=np.float32)[:, None, None]

    def clutter(draw: PIL.ImageDraw.ImageDraw) -> None:
        _weed(rng, draw, (w, h), (52, 104, 62), int(rng.integers(0, 9)), h * 0.6)
        _pebbles(rng, draw, (w, h * 2.2), (96, 112, 108), int(rng.integers(0, 24)), 8)
        _bubbles(rng, draw, (w, h), (190, 218, 220), int(rng.integers(0, 14)), 4)

    return image, clutter


def _rock(rng: np.random.Generator, w: int, h: int) -> tuple[np.ndarray, Clutter]:
    palette = ((104, 100, 98), (148, 142, 134), (82, 84, 80))

    def clutter(draw: PIL.ImageDraw.ImageDraw) -> None:
        _pebbles(rng, draw, (w, h), (130, 126, 118), int(rng.integers(3, 14)), 20)
        _twigs(rng, draw, (w, h), (64, 62, 62), int(rng.integers(1, 6)), 2.5)
        _pebbles(rng, draw, (w, h), (160, 164, 104), int(rng.integers(0, 18)), 5)

    return ground(rng, w, h, palette), clutter


def _bark(rng: np.random.Generator, w: int, h: int) -> tuple[np.ndarray, Clutter]:
    palette = ((70, 54, 42), (112, 90, 68), (146, 126, 100))

    def clutter(draw: PIL.ImageDraw.ImageDraw) -> None:
        for _ in range(int(rng.integers(6, 18))):
            x, y = rng.uniform(0, w), rng.uniform(-0.2, 0.9) * h
            path = [
                (x, y),
                (x + rng.normal(0, 6), y + h * 0.2),
                (x + rng.normal(0, 8), y + h * 0.4),
            ]
            _polygon(draw, limb(path, [1, 5, 1]), _vary(rng, (48, 38, 30), 14))
        _leaves(rng, draw, (w, h), (88, 116, 60), int(rng.integers(0, 6)), 30)

    return ground(rng, w, h, palette, stretch=4.0), clutter


def _branches(rng: np.random.Generator, w: int, h: int) -> tuple[np.ndarray, Clutter]:
    sky = ((150, 186, 214), (196, 214, 224), (214, 220, 216))
    hedge = ((92, 124, 86), (150, 172, 130), (190, 200, 170))
    image = ground(rng, w, h, sky if rng.random() < 0.6 else hedge)
    blurred = PIL.Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    image = np.asarray(blurred.filter(PIL.ImageFilter.GaussianBlur(5)), np.float32)

    def clutter(draw: PIL.ImageDraw.ImageDraw) -> None:
        _twigs(rng, draw, (w, h), (98, 80, 64), int(rng.integers(2, 6)), 11)
        _leaves(rng, draw, (w, h), (86, 124, 58), int(rng.integers(4, 22)), 26)

    return image, clutter


HABITATS: dict[str, Habitat] = {
    "meadow": _meadow,
    "litter": _litter,
    "sand": _sand,
    "water": _water,
    "rock": _rock,
    "bark": _bark,
    "branches": _branches,
}

HOMES: dict[str, tuple[str, ...]] = {
    "Insecta": ("meadow", "litter", "bark"),
    "Aves": ("branches", "branches", "meadow", "rock"),
    "Reptilia": ("sand", "rock", "litter"),
    "Mammalia": ("meadow", "meadow", "sand", "litter"),
    "Amphibia": ("litter", "meadow", "rock"),
    "Mollusca": ("litter", "sand", "meadow"),
    "Animalia": ("sand", "rock", "water"),
    "Arachnida": ("bark", "litter", "meadow"),
    "Actinopterygii": ("water",),
    "Plantae": ("meadow", "litter"),
    "Fungi": ("litter", "meadow"),
}
"""Where each super-class is mostly seen; for a third of its images, the habitat is random."""


def background(rng: np.random.Generator, width: int, height: int, habitat: str) -> np.ndarray:
    """Draws a landscape without animals.

    Returns:
        float32 `[height, width, 3]`, 0..255.
    """
    image, clutter = HABITATS[habitat](rng, width, height)
    picture = PIL.Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    clutter(PIL.ImageDraw.Draw(picture))
    # More or less out of focus; this also softens the jagged edges of the clutter.
    blurred = picture.filter(PIL.ImageFilter.GaussianBlur(rng.uniform(0.7, 2.2)))
    return np.asarray(blurred, np.float32)
