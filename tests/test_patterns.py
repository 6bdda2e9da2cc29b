"""Choreography patterns: what can be typed, what is refused and where, and that what is printed is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkey_core.checks import InputError
from genkey_core.dance.labels import labelled, letter
from genkey_core.dance.patterns import (
    MAX_SEGMENTS,
    PRESETS,
    Label,
    Pattern,
    PatternError,
    parse_pattern,
    pattern_of,
)

LABELS = st.builds(Label, st.sampled_from(["A", "B", "C", "Z", "AA", "QZ"]), st.booleans())


def test_the_patterns_of_the_thesis_are_read():
    pattern = parse_pattern("A-A'-B-C-D-D")
    assert [str(label) for label in pattern.labels] == ["A", "A'", "B", "C", "D", "D"]
    assert (len(pattern), pattern.n_beats, len(pattern.distinct)) == (6, 12, 5)
    lengths = {"Marmot (Fig. 1.5)": 23, "Uptown Funk (Fig. 7.6a)": 16, "Bumblebee (Fig. 7.6b)": 32,
               "Six segments (7.2.1)": 6, "Seven segments (7.1)": 7}  # fmt: skip
    assert {name: len(parse_pattern(text)) for name, text in PRESETS.items()} == lengths
    assert all(str(parse_pattern(text)) == text for text in PRESETS.values())


@given(st.lists(LABELS, min_size=1, max_size=MAX_SEGMENTS))
def test_what_is_printed_is_read_back(labels):
    pattern = Pattern(tuple(labels))
    assert parse_pattern(str(pattern)) == pattern
    assert pattern_of([str(label) for label in labels]) == pattern == pattern_of(labels)


@pytest.mark.parametrize(
    "text",
    ["A-A'-B", "a a’ b", " A , A′ ; B ", "A–A`–B", "A\nA'\nB", "A-A'—B", "A--A'-B-", "(A-A')-B", "A*1 A' B", "AA'B"],
)
def test_people_write_the_same_pattern_in_many_ways(text):
    assert str(parse_pattern(text)) == "A-A'-B"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A*3", "A-A-A"),
        ("A x 2 B", "A-A-B"),
        ("(A-A')*2-B", "A-A'-A-A'-B"),
        ("((A*2 B)*2)×2", "-".join("AABAABAABAAB")),
    ],
)
def test_repeats(text, wanted):
    assert str(parse_pattern(text)) == wanted


@pytest.mark.parametrize(
    ("text", "place"),
    [("", 0), ("- -", 0), ("A-1", 2), ("A-A''", 2), ("A-(B", 2), ("A)-B", 1), ("*3", 0), ("A*0", 1),
     ("A*129", 1), ("(A*60)*3", 6), ("'A", 0), ("A-😀", 2), ("()", 0), (None, 0), ("A*99999999999999999999", 1)],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(text, place):
    with pytest.raises(PatternError) as caught:
        parse_pattern(text)
    assert caught.value.position == place
    assert str(caught.value).startswith("pattern")


@given(st.text(max_size=60))
def test_no_text_does_more_than_raise_a_sentence(text):
    try:
        assert 1 <= len(parse_pattern(text)) <= MAX_SEGMENTS
    except PatternError as error:
        assert 0 <= error.position <= len(text)


def test_letters_need_no_dashes_and_two_alone_are_one_label():
    assert str(parse_pattern("AABB A'B'")) == "A-A-B-B-A'-B'"
    assert str(parse_pattern("Z-AA-AB'")) == "Z-AA-AB'"


def test_lists_of_labels_are_checked_too():
    for wrong in ([], ["A-B"], ["?"], [3], ["A"] * (MAX_SEGMENTS + 1)):
        with pytest.raises(InputError):
            pattern_of(wrong)


def test_a_pattern_is_cut_or_repeated_to_length():
    pattern = parse_pattern("A-B-A'")
    assert str(pattern.fitted(2)) == "A-B"
    assert str(pattern.fitted(7)) == "A-B-A'-A-B-A'-A"
    for wrong in (0, MAX_SEGMENTS + 1):
        with pytest.raises(InputError):
            pattern.fitted(wrong)


def test_the_line_for_people_says_what_is_odd():
    assert parse_pattern("A-A'-B-C-D-D").described() == (
        "6 segments, 12 beats, 3 bars of 4/4: 4 motions, 1 also mirrored."
    )
    assert "B occurs only mirrored" in parse_pattern("A-B'").described()


def test_partners_are_involutions():
    assert Label("A").partner == Label("A", True)
    assert Label("A").partner.partner == Label("A")


def test_letters_go_on_after_z():
    assert [letter(n) for n in (0, 25, 26, 27, 51, 52, 701)] == ["A", "Z", "AA", "AB", "AZ", "BA", "ZZ"]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(0, 5))
def test_labels_follow_first_appearance_and_mirrors_share_a_letter(clusters, n_pairs):
    mirrors = {c: c ^ 1 for c in range(2 * n_pairs)}
    pattern = labelled(clusters, mirrors)
    for cluster, label in zip(clusters, pattern.labels, strict=True):
        for other, label_2 in zip(clusters, pattern.labels, strict=True):
            assert (cluster == other) == (label == label_2)
            assert (mirrors.get(cluster) == other) == (label.partner == label_2)
    bases = list(dict.fromkeys(label.base for label in pattern.labels))
    assert bases == [letter(n) for n in range(len(bases))]
    assert not pattern.labels[0].mirrored
