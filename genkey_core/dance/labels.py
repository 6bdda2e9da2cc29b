"""From clusters and mirrored pairs to letters with primes (thesis section 7.2.1, its last paragraph)."""

from __future__ import annotations

from collections.abc import Sequence

from .patterns import Label, Pattern


def letter(number: int) -> str:
    """A to Z, then AA, AB and so on, for 0, 1, 2, ..."""
    return chr(65 + number) if number < 26 else letter(number // 26 - 1) + letter(number % 26)


def labelled(clusters: Sequence[int], mirrors: dict[int, int]) -> Pattern:
    """Letters in the order of first appearance: cluster number of every segment -> pattern.

    `mirrors` holds both directions of every mirrored pair of clusters. Of a pair, the cluster that comes first is A, the
    other A'.
    """
    names: dict[int, Label] = {}
    for cluster in clusters:
        if cluster not in names:
            partner = mirrors.get(cluster)
            if partner in names:
                names[cluster] = names[partner].partner
            else:
                names[cluster] = Label(letter(len({label.base for label in names.values()})))
    return Pattern(tuple(names[cluster] for cluster in clusters))
