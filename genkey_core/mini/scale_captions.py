"""The words of the scale world: kinds, colours, styles, and the many ways to say one scene."""

from __future__ import annotations

import re

import numpy as np

NATURE = ("galaxy", "star system", "planet", "continent", "island", "forest", "tree", "branch", "leaf", "veins",
          "cells", "nucleus")  # fmt: skip
CITY = ("skyline", "city", "district", "building", "window", "desk", "computer", "circuit board", "chip",
        "transistors")  # fmt: skip
KINDS = NATURE + CITY  # each family from large to small

_LEAVES = ("green", "red", "orange", "golden", "purple")
COLOURS = {
    "galaxy": ("blue", "purple", "golden", "pink"),
    "star system": ("golden", "red", "blue"),
    "planet": ("blue", "red", "green", "purple", "golden", "teal"),
    "continent": ("green", "golden", "red", "white"),
    "island": ("green", "golden", "red", "purple"),
    "forest": ("green", "red", "orange", "golden", "white"),
    "tree": ("green", "red", "orange", "golden", "pink", "white"),
    "branch": ("green", "red", "orange", "golden", "pink"),
    "leaf": _LEAVES,
    "veins": _LEAVES,
    "cells": ("green", "pink", "blue", "purple", "golden"),
    "nucleus": ("blue", "purple", "pink", "green", "teal"),
    "skyline": ("blue", "orange", "purple", "pink", "teal"),
    "city": ("red", "white", "golden", "grey"),
    "district": ("red", "grey", "blue", "orange"),
    "building": ("red", "grey", "white", "blue", "golden"),
    "window": ("red", "white", "blue", "green", "golden"),
    "desk": ("blue", "green", "red", "golden", "grey"),
    "computer": ("blue", "red", "green", "purple", "orange"),
    "circuit board": ("green", "blue", "red", "purple"),
    "chip": ("blue", "purple", "green", "golden", "pink"),
    "transistors": ("blue", "purple", "green", "red", "golden", "teal"),
}
# {c} is the colour's place, with the space after it; a phrase begins with its article.
PHRASES = {
    "galaxy": ("a {c}spiral galaxy", "a {c}galaxy", "the {c}milky way galaxy", "a {c}galaxy full of stars"),
    "star system": ("a solar system with a {c}sun", "planets around a {c}star", "a star system with a {c}star",
                    "a planet orbiting a {c}sun"),
    "planet": ("a {c}planet", "a {c}planet in space", "a round {c}planet with clouds", "the {c}globe of a planet"),
    "continent": ("a {c}continent", "the coast of a {c}continent", "a {c}continent with mountains and seas",
                  "{c}land and coasts of a continent"),
    "island": ("a {c}island", "a {c}island in the ocean", "a small {c}island with a beach", "a {c}island in the sea"),
    "forest": ("a {c}forest", "a {c}forest with many trees", "the crowns of a {c}forest", "a dense {c}forest"),
    "tree": ("a {c}tree", "a large {c}tree", "a {c}tree on a meadow", "a {c}tree with a trunk and leaves"),
    "branch": ("a branch with {c}leaves", "{c}leaves on a branch", "a branch of a {c}tree", "a twig with {c}leaves"),
    "leaf": ("a {c}leaf", "a single {c}leaf", "one {c}leaf of a tree", "the surface of a {c}leaf with its midrib"),
    "veins": ("the veins of a {c}leaf", "{c}leaf veins", "a net of veins in a {c}leaf", "the skin of a {c}leaf with veins"),
    "cells": ("{c}plant cells", "{c}cells", "the {c}cells of a leaf", "{c}cells with walls"),
    "nucleus": ("the {c}nucleus of a cell", "a {c}cell nucleus", "a {c}nucleus", "a {c}nucleus inside a cell"),
    "skyline": ("a city skyline with a {c}sky", "a skyline under a {c}sky", "towers and water under a {c}sky",
                "the skyline of a city with a {c}sky"),
    "city": ("a {c}city", "a large city with {c}roofs", "the streets and blocks of a {c}city", "a {c}city with a park"),
    "district": ("a district with {c}roofs", "houses with {c}roofs", "a few blocks of houses with {c}roofs",
                 "a neighbourhood with {c}roofs"),
    "building": ("a {c}building", "a {c}house front", "the front of a {c}building", "a {c}building with many windows"),
    "window": ("a window with {c}curtains", "the window of a building with {c}curtains", "{c}curtains in a window",
               "a window with {c}curtains and a lamp"),
    "desk": ("a desk by a {c}wall", "a desk in a {c}room", "a desk with a computer in a {c}room",
             "a desk with a lamp and books by a {c}wall"),
    "computer": ("an open computer with {c}lights", "the inside of a computer with {c}lights",
                 "a computer with {c}lights and fans", "a computer case with {c}lights"),
    "circuit board": ("a {c}circuit board", "a {c}board with chips", "a {c}circuit board with a chip",
                      "the {c}circuit board of a computer"),
    "chip": ("a {c}chip", "a {c}microchip", "the {c}die of a microchip", "an open {c}chip with golden wires"),
    "transistors": ("{c}transistors", "the {c}transistors of a chip", "tiny {c}transistors", "rows of {c}transistors"),
}  # fmt: skip
# What people say instead of the colour's word.
SPECIAL = {
    ("forest", "white"): ("a forest in winter", "a snowy forest"),
    ("tree", "white"): ("a tree in winter", "a snowy tree"),
    ("tree", "pink"): ("a tree in spring blossom", "a cherry tree in blossom"),
    ("tree", "orange"): ("a tree in autumn", "an autumn tree"),
    ("forest", "orange"): ("a forest in autumn", "an autumn forest"),
    ("tree", "green"): ("a tree in summer", "an oak tree"),
    ("forest", "green"): ("a forest in summer", "a jungle"),
    ("branch", "pink"): ("a branch in spring blossom",),
    ("leaf", "red"): ("an autumn leaf",),
    ("skyline", "orange"): ("a skyline at sunset", "a city at sunset"),
    ("skyline", "purple"): ("a skyline at dusk",),
    ("skyline", "blue"): ("a skyline at day",),
    ("city", "golden"): ("a city at night", "a city at night with street lights"),
    ("continent", "golden"): ("a desert continent", "a dry continent"),
    ("continent", "white"): ("a continent of snow and ice",),
    ("planet", "blue"): ("the planet earth", "earth"),
    ("planet", "red"): ("the planet mars",),
    ("building", "red"): ("a brick building",),
}
_ABOVE = ("from above", "aerial view", "seen from above", "a bird's eye view")
_SPACE = ("seen through a telescope", "in deep space", "in the universe", "far away in space")
_ORBIT = ("seen from space", "satellite view", "from orbit")
_CLOSE = ("close-up", "macro", "seen from close by")
_MICRO = ("under a microscope", "microscope image", "seen through a microscope")
VIEWS = {
    "galaxy": _SPACE, "star system": _SPACE, "planet": _ORBIT, "continent": _ORBIT, "island": _ABOVE, "forest": _ABOVE,
    "tree": ("from the side", "under the sky", "in a landscape"), "branch": _CLOSE, "leaf": _CLOSE, "veins": _CLOSE,
    "cells": _MICRO, "nucleus": _MICRO, "skyline": ("from afar", "over the water", "seen from across the water"),
    "city": _ABOVE, "district": _ABOVE, "building": ("from the street", "seen from across the street", "front view"),
    "window": ("from outside", "seen from outside", "close-up"), "desk": ("inside a room", "front view", "in an office"),
    "computer": _CLOSE, "circuit board": ("from above", "close-up", "macro"),
    "chip": ("macro", "close-up", "under a microscope"), "transistors": (*_MICRO, "electron microscope image"),
}  # fmt: skip
STYLE_PHRASES = {
    "photo": ("a photo", "a photograph", "a realistic photo", "a detailed photo", "a beautiful picture"),
    "watercolour": ("a watercolour painting", "a watercolor painting", "a watercolour", "a painting in watercolour"),
    "sketch": ("a pencil sketch", "a pencil drawing", "a sketch", "a drawing in pencil"),
    "neon": ("a neon drawing", "neon art", "glowing neon lines", "a neon picture"),
}
COLOUR_SYNONYMS = {
    "golden": ("golden", "yellow"),
    "grey": ("grey", "gray"),
    "purple": ("purple", "violet"),
    "teal": ("teal", "turquoise"),
}


def caption(kind: str, colour: str, style: str, rng: np.random.Generator) -> str:
    """One way to say the scene, drawn from `rng`: with or without its colour, viewpoint and style."""
    special = SPECIAL.get((kind, colour), ())
    if special and rng.random() < 0.35:
        noun = special[rng.integers(len(special))]
    else:
        words = COLOUR_SYNONYMS.get(colour, (colour,))
        word = words[rng.integers(len(words))] + " " if rng.random() < 0.88 else ""
        noun = _articled(PHRASES[kind][rng.integers(len(PHRASES[kind]))].format(c=word))
    view = VIEWS[kind][rng.integers(len(VIEWS[kind]))] if rng.random() < 0.6 else ""
    said = STYLE_PHRASES[style][rng.integers(len(STYLE_PHRASES[style]))]
    if style == "photo" and rng.random() < 0.4:
        return f"{noun}, {view}" if view else noun
    if rng.random() < 0.65:
        return f"{said} of {noun}" + (f", {view}" if view else "")
    return ", ".join(part for part in (noun, view, said) if part)


def plain(kind: str, colour: str) -> str:
    """The simplest way to say the scene: "a red leaf"."""
    return _articled(PHRASES[kind][0].format(c=colour + " "))


def captions(kind: str, colour: str, style: str, rng: np.random.Generator, *, count: int = 12) -> list[str]:
    """Up to `count` different captions of one scene."""
    return list(dict.fromkeys(caption(kind, colour, style, rng) for _ in range(3 * count)))[:count]


def _articled(text: str) -> str:
    """`a` before a vowel becomes `an`, and the other way about."""
    return re.sub(r"\ban (?![aeiou])", "a ", re.sub(r"\ba (?=[aeiou])", "an ", text))


def vocabulary() -> list[str]:
    """Every word that a caption can hold, sorted, lower case."""
    texts = [phrase.format(c="") for phrases in PHRASES.values() for phrase in phrases]
    for group in (SPECIAL, VIEWS, STYLE_PHRASES, COLOUR_SYNONYMS):
        texts += [text for values in group.values() for text in values]
    texts += [colour for colours in COLOURS.values() for colour in colours] + ["a an the of and in"]
    return sorted({word for text in texts for word in text.replace(",", " ").split()})
