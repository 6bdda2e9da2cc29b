"""SAM 2 as a segmenter: where it is pointed, that its answer is used or refused, and the wiring on a tiny model of the class."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from tiny_painters import save_sam

from genkey_core.checks import InputError
from genkey_core.dance import sam


def draft() -> np.ndarray:
    mask = np.zeros((48, 80), np.uint8)
    cv2.circle(mask, (30, 24), 14, 1, -1)
    cv2.circle(mask, (60, 24), 6, 1, -1)
    return mask.astype(np.float32)


def test_points_lie_deep_inside_and_apart():
    points, box = sam.prompts(draft())
    assert box == [16, 10, 66, 38]
    assert points[0] == pytest.approx([30, 24], abs=1)
    assert all(draft()[y, x] == 1 for x, y in points)
    assert any(abs(x - 60) <= 2 and abs(y - 24) <= 2 for x, y in points)


def test_a_tiny_sam_answers_or_leaves_the_draft(tmp_path):
    segment = sam.read_segmenter(save_sam(tmp_path / "sam"))
    images = np.random.default_rng(1).integers(0, 255, (2, 48, 80, 3), dtype=np.uint8)
    drafts = np.stack([draft(), np.zeros_like(draft())])
    found = segment(images, drafts)
    assert found.shape == drafts.shape
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[1], drafts[1])  # nothing to point at
    both, either = ((found[0] > 0.5) & (drafts[0] > 0.5)).sum(), ((found[0] > 0.5) | (drafts[0] > 0.5)).sum()
    assert both > 0.5 * either


@pytest.mark.parametrize("agrees", [True, False])
def test_an_answer_counts_where_it_agrees_with_the_draft(agrees):
    """A model that cuts out a little more than the draft is believed; one that cuts out the rest is not."""
    wider = cv2.dilate(draft(), np.ones((5, 5), np.uint8)) > 0
    told = {}

    class Model:
        device = "cpu"
        config = SimpleNamespace(prompt_encoder_config=SimpleNamespace(image_size=160))

        def __call__(self, **given):
            told.update(given)
            answer = torch.as_tensor(wider if agrees else ~wider).float() * 2 - 1
            return SimpleNamespace(pred_masks=answer[None, None, None])

    found = sam._cut_out(Model(), np.zeros((48, 80, 3), np.uint8), draft())
    np.testing.assert_array_equal(found, wider if agrees else draft())
    assert told["pixel_values"].shape == (1, 3, 160, 160)
    x, y = told["input_points"][0, 0, 0]  # the middle of the disc, in the model's own pixels
    assert (x.item(), y.item()) == pytest.approx((60, 80), abs=4)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no SAM 2"):
        sam.read_segmenter(tmp_path)
