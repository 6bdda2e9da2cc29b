"""The options of the in-between method: they come back from JSON as they went, and wrong ones are named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkey_core import recipe
from genkey_core.checks import InputError
from genkey_core.inbetween.sampling import PRESETS, VARIANTS
from genkey_core.inbetween.settings import ASPECTS, ENGINES, FITS, MAX_PROMPT, MEMORY, Settings
from genkey_core.timing import PLAYBACKS

gap = st.fixed_dictionaries(
    {
        "duration_s": st.floats(0.1, 60),
        "easing": st.sampled_from(["linear", "ease-in", "hold", "steps(3)", "cubic-bezier(0, 1, 1, 0)"]),
        "hold_s": st.floats(0, 5),
    }
)
good = st.fixed_dictionaries(
    {
        "gaps": st.lists(gap, min_size=1, max_size=24),
        "fps": st.floats(1, 60),
        "aspect": st.sampled_from(ASPECTS),
        "fit": st.sampled_from(FITS),
        "max_side": st.integers(64, 4096),
        "background": st.sampled_from(["#000", "#FFaa00", "rgb(1, 2, 3)", "rgba(10.4, 20, 255, 1)"]),
        "playback": st.sampled_from(PLAYBACKS),
        "end_hold_s": st.floats(0, 5),
        "seed": st.integers(0, 2**31 - 1),
        "engine": st.sampled_from(ENGINES),
        "variant": st.sampled_from(list(VARIANTS)),
        "preset": st.sampled_from(list(PRESETS)),
        "prompt": st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_PROMPT),
        "memory": st.sampled_from(MEMORY),
    }
)


@given(good)
def test_settings_survive_json(values):
    settings = Settings.from_dict(values)
    assert Settings.from_dict(settings.to_dict()) == settings
    assert len(settings.background) == 7


def test_settings_from_before_the_learned_engines_still_load():
    old = {k: v for k, v in Settings().to_dict().items() if k not in ("variant", "preset", "prompt", "memory")}
    assert Settings.from_dict(recipe.from_link(recipe.to_link(old))) == Settings()


@pytest.mark.parametrize("character", ["\x01", '"', "\U0001f600", "\\"])
def test_the_longest_prompt_and_most_gaps_fit_a_link(character):
    gaps = [{"duration_s": 12.3456, "easing": "cubic-bezier(0.123, 0.456, 0.789, 0.123)", "hold_s": 1.25}] * 23
    settings = Settings.from_dict({"prompt": character * MAX_PROMPT, "gaps": gaps})
    assert Settings.from_dict(recipe.from_link(recipe.to_link(settings.to_dict()))) == settings


junk = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=30), st.lists(st.integers(), max_size=3)
)


@given(st.dictionaries(st.sampled_from([*Settings().to_dict(), "unknown"]), junk, max_size=4))
def test_any_junk_is_either_good_or_refused_with_a_sentence(values):
    try:
        settings = Settings.from_dict(values)
    except InputError as error:
        assert 0 < len(str(error)) < 400
    else:
        assert math.isfinite(settings.fps)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"fps": 0}, "fps: must be between 1 and 60, got 0"),
        ({"fps": 1000}, "fps: must be between 1 and 60, got 1000"),
        ({"fps": math.nan}, "fps: a finite number"),
        ({"fps": 10**400}, "fps: a finite number"),
        ({"gaps": []}, "gaps: between 1 and 24"),
        ({"gaps": [{"duration_s": -2}]}, "gap 1: duration"),
        ({"gaps": [{}, {"duration_s": math.nan}]}, "gap 2: duration"),
        ({"gaps": [{"easing": "cubic-bezier(2,0,0,1)"}]}, "gap 1: easing: cubic-bezier x1"),
        ({"gaps": [{"speed": 3}]}, "gap 1: an object"),
        ({"gaps": "1 s"}, "gaps: a list"),
        ({"aspect": "4:3"}, "size: one of keep"),
        ({"fit": "stretch"}, "fit: one of"),
        ({"max_side": 100_000}, "longest side"),
        ({"background": "red; }"}, "background: a colour"),
        ({"playback": "reverse"}, "playback"),
        ({"engine": "magic"}, "engine"),
        ({"variant": "best"}, "variant: one of dual"),
        ({"preset": "slow"}, "preset: one of"),
        ({"memory": "8 GB"}, "memory mode: one of auto"),
        ({"prompt": 3}, "prompt: a text is needed"),
        ({"prompt": "x" * 10_000}, "prompt: at most 2,000 characters are taken, got 10,000; shorten it"),
        ({"prompt": "half \ud83d"}, "prompt: it holds broken characters"),
        ({"seed": -1}, "seed"),
        ({"fsp": 24}, "'fsp' is not known"),
        ([], "an object"),
    ],
)
def test_each_wrong_setting_is_named(values, says):
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        Settings.from_dict(values)


def test_one_gap_stands_for_all_and_a_loop_has_one_more():
    settings = Settings.from_dict({"gaps": [{"duration_s": 0.5}]})
    assert len(settings.for_keyframes(5).gaps) == 4
    looped = Settings.from_dict({"playback": "loop"})
    assert len(looped.for_keyframes(5).gaps) == 5


def test_gaps_that_do_not_fit_the_keyframes_are_counted_for_the_user():
    settings = Settings.from_dict({"gaps": [{}, {}]})
    assert len(settings.for_keyframes(3).gaps) == 2
    with pytest.raises(InputError, match="4 keyframes have 3 gaps here, but 2 were given"):
        settings.for_keyframes(4)


@pytest.mark.parametrize("n", [0, 1, 25, 1000])
def test_too_few_or_too_many_keyframes(n):
    with pytest.raises(InputError, match=f"2 to 24 images are needed, got {n}"):
        Settings().for_keyframes(n)
