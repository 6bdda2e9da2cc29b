"""Guards: their messages are sentences that a user can read."""

import pytest

from genkey_core.checks import InputError, choice


def test_a_choice_lists_what_there_is_but_never_a_page_of_it():
    assert choice("b", "letter", "abc") == "b"
    with pytest.raises(InputError, match=r"^letter: one of a, b, c is needed, got 'd'\.$"):
        choice("d", "letter", "abc")
    many = [f"option number {i} of very many" for i in range(40)]
    with pytest.raises(InputError, match=r"or 3[0-9] others is needed") as refused:
        choice(None, "template", many)
    assert len(str(refused.value)) < 250
    assert many[0] in str(refused.value)
    assert many[39] not in str(refused.value)
    assert choice(many[39], "template", many) == many[39]
