"""The draft in-betweener returns its keyframes exactly, keeps stills still and moves what moved."""

import numpy as np
import pytest

from genkey_core.checks import InputError
from genkey_core.inbetween.draft import DraftPair


def _noise_picture(rng, shape=(96, 128)):
    import cv2

    picture = cv2.GaussianBlur(rng.uniform(0, 255, (*shape, 3)).astype(np.float32), (0, 0), 2.5)
    return np.uint8(np.clip((picture - 127) * 5 + 127, 0, 255))


def test_keyframes_come_back_bit_equal(rng):
    start, end = _noise_picture(rng), _noise_picture(rng)
    pair = DraftPair(start, end)
    assert np.array_equal(pair.frame(0.0), start)
    assert np.array_equal(pair.frame(1.0), end)


def test_equal_keyframes_are_a_still(rng):
    picture = _noise_picture(rng)
    pair = DraftPair(picture, picture.copy())
    assert all(np.array_equal(pair.frame(t), picture) for t in (0.01, 0.3, 0.5, 0.99))


@pytest.mark.parametrize("position", [-0.1, 1.1, float("nan"), "half"])
def test_position_outside_is_refused(rng, position):
    pair = DraftPair(_noise_picture(rng), _noise_picture(rng))
    with pytest.raises(InputError):
        pair.frame(position)


def test_a_shift_moves_halfway(rng):
    wide = _noise_picture(rng, (96, 160))
    start, middle, end = wide[:, 0:128], wide[:, 6:134], wide[:, 12:140]
    frame = DraftPair(start, end).frame(0.5)
    inner = np.s_[16:-16, 16:-16]
    error = np.abs(frame[inner].astype(int) - middle[inner]).mean()
    still_error = np.abs((start[inner].astype(int) + end[inner]) / 2 - middle[inner]).mean()
    assert error < 0.15 * still_error
