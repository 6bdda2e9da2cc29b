"""Ladders to begin with: written for this program, following the advice of thesis section 6.3.1.

Each keeps one viewpoint and one kind of picture through all levels, names what stands in the middle before it is zoomed
into, and takes steps that fit its factor. Those of MINI use only words that the mini model knows.
"""

from __future__ import annotations

from .prompts import Ladder

TEMPLATES = {
    "A lighthouse on its coast": Ladder(
        (
            "Aerial photo straight down of a rugged green coastline with a tiny white dot on a headland, dark blue sea",
            "Aerial photo straight down of a rocky headland with a small white lighthouse in the middle, surf around it",
            "Aerial photo straight down of a white lighthouse with a red roof in the middle of green grass and rocks",
            "Photo straight down of the red roof of a lighthouse with its glass lantern in the middle",
            "Close-up photo straight down of a lighthouse lantern, rings of thick glass lenses around a bright lamp",
            "Macro photo straight down of a glowing lamp inside rings of cut glass, rainbow reflections",
        ),
        2,
    ),
    "A coral reef": Ladder(
        (
            "Satellite photo of a turquoise atoll in the middle of a deep blue ocean",
            "Aerial photo straight down of a ring-shaped coral reef, turquoise lagoon in the middle, white surf",
            "Aerial photo straight down of a shallow lagoon with dark coral heads on white sand",
            "Underwater photo straight down of a large round coral head on white sand, small fish around it",
            "Underwater close-up straight down of a round brain coral with winding ridges filling the picture",
            "Macro photo of winding green and brown ridges of brain coral, fine grooves between them",
            "Microscope photo of a single coral polyp with a ring of translucent tentacles in the middle",
        ),
        4,
    ),
    "A butterfly on a meadow": Ladder(
        (
            "A wide alpine meadow full of flowers seen from the front, one tall purple thistle in the middle, soft light",
            "A tall purple thistle in the middle of a flower meadow seen from the front, soft light",
            "A purple thistle flower seen from the front with a peacock butterfly sitting in the middle, wings open",
            "A peacock butterfly with open wings filling the picture, one eyespot in the middle, seen from the front",
            "Close-up of the eyespot on a butterfly's wing, blue and black rings on rusty red",
            "Macro photo of a butterfly's eyespot, rows of tiny coloured scales like roof tiles",
            "Microscope photo of overlapping blue butterfly scales, each with fine ridges",
        ),
        2,
    ),
    "A violin in a concert hall": Ladder(
        (
            "A grand concert hall seen from the balcony, an orchestra on the stage in warm light, a soloist in the middle",
            "An orchestra on a stage in warm light seen from the front, a violinist in red in the middle",
            "A violinist in a red dress playing, seen from the front, the violin in the middle",
            "Close-up of a violin being played, its bridge and strings in the middle, warm varnished wood",
            "Close-up of a violin's bridge with four strings crossing it, rosin dust, warm varnished wood",
            "Macro photo of a wound violin string over the edge of a wooden bridge",
        ),
        2,
    ),
    "A mountain village": Ladder(
        (
            "Aerial photo of a long alpine valley in winter, snow-covered peaks on both sides, a village far away in the "
            "middle",
            "Aerial photo of a snow-covered alpine village in a valley, a church tower in the middle",
            "Snow-covered wooden houses around a small white church in the middle, winter morning",
            "A small white church with an onion dome in the middle of snow-covered houses, winter morning",
            "The wooden door of a small white church with a carved round window above it, snow on the steps",
            "A carved round church window with coloured glass, frost at its edges",
            "Macro photo of frost crystals on a pane of coloured church glass",
        ),
        2,
    ),
    "A cup of coffee": Ladder(
        (
            "Photo straight down of a busy town square with cafe tables, a round table with a white cup in the middle",
            "Photo straight down of a round wooden cafe table with a newspaper, glasses and a white coffee cup in the middle",
            "Photo straight down of a white cup of coffee on a saucer on a wooden table",
            "Photo straight down into a white cup, coffee with a leaf drawn in milk foam",
            "Close-up straight down of milk foam on coffee, a leaf pattern in white and brown",
            "Macro photo of milk foam, many small bubbles in white and brown",
            "Microscope photo of a few large bubbles of foam with thin shining walls",
        ),
        2,
    ),
    "Footsteps on the Moon": Ladder(
        (
            "Photo of the full Moon in a black sky, grey seas and bright craters",
            "Orbital photo straight down of a grey plain on the Moon with craters and a small bright spot in the middle",
            "Orbital photo straight down of craters on the Moon, a landing site with tracks in the middle",
            "Photo straight down of a lunar lander's golden base on grey dust, footprints around it",
            "Photo straight down of boot prints in fine grey Moon dust",
            "Close-up straight down of one boot print with ribbed tread in fine grey Moon dust, sharp shadows",
            "Macro photo of fine grey Moon dust, tiny glass beads and sharp grains",
        ),
        4,
    ),
    "An apple orchard": Ladder(
        (
            "Rolling hills with rows of apple trees in autumn, one large tree in the middle, morning light",
            "A large apple tree in the middle of an orchard in autumn, full of red apples, morning light",
            "Branches of an apple tree full of red apples, one apple in the middle, morning light",
            "A single red apple on a branch with green leaves, dewdrops on its skin",
            "Close-up of the skin of a red apple with a large dewdrop in the middle",
            "Macro photo of a dewdrop on red apple skin, pale speckles and a reflection of the orchard",
        ),
        2,
    ),
    "A desert caravan": Ladder(
        (
            "Satellite photo of a vast desert with long orange dunes",
            "Aerial photo straight down of orange sand dunes with a thin line of camels in the middle",
            "Aerial photo straight down of a caravan of camels crossing an orange dune, long shadows",
            "Photo straight down of a camel with a colourful woven saddle in the middle, on orange sand",
            "Close-up straight down of a colourful woven saddle cloth with a diamond pattern",
            "Macro photo of woven wool threads in red, blue and yellow",
            "Microscope photo of a single twisted wool fibre with fine scales",
        ),
        4,
    ),
}

MINI = {
    "From a galaxy to an island": Ladder(
        (
            "a blue galaxy, in deep space",
            "a solar system with a golden sun, in deep space",
            "a blue planet, seen from space",
            "a green continent, seen from space",
            "a green island, from above",
            "a green forest, from above",
        ),
        4,
    ),
    "From a tree to a nucleus": Ladder(
        (
            "a green tree, from the side",
            "a branch with green leaves, close-up",
            "a green leaf, close-up",
            "the veins of a green leaf, macro",
            "green plant cells, under a microscope",
            "a blue nucleus inside a cell, under a microscope",
        ),
        4,
    ),
    "From a city to its transistors": Ladder(
        (
            "a city at night with street lights, from above",
            "a district with blue roofs, from above",
            "a blue building with many windows, front view",
            "a window with blue curtains, close-up",
            "a desk with a computer in a blue room, in an office",
            "a computer with blue lights and fans, close-up",
            "a blue circuit board with a chip, from above",
            "a blue chip, macro",
            "blue transistors, under a microscope",
        ),
        4,
    ),
    "An autumn leaf in watercolour": Ladder(
        (
            "a watercolour painting of a tree in autumn",
            "a watercolour painting of orange leaves on a branch",
            "a watercolour painting of an orange leaf",
            "a watercolour painting of the veins of an orange leaf",
        ),
        2,
    ),
}
