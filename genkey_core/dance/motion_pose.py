"""Motion from a video by ViTPose: 17 joints in the picture plane (Xu et al. 2022; thesis section 7.2.1).

    motion = watch_pose("dance.mp4", load_vitpose(folder))

Directions of limbs in the picture stand for the rotations of Eq. 7.1, so neither the dancer's size nor place counts; mirrored is
flipped, with left and right changed over. ViTPose wants the dancer's box: at first the whole picture, then where the joints were.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..checks import InputError, shown
from ..media.files import base_name
from ..media.probe import probe
from ..media.reader import read_frames
from .motion import MAX_MOTION_S
from .motion_video import BODY_M

if TYPE_CHECKING:
    from transformers import VitPoseForPoseEstimation

CHECKPOINT = "vitpose"  # its name in hub.CHECKPOINTS
FPS = 15.0
JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip  # COCO's order
_SWAPPED = {"left": "right", "right": "left"}
MIRRORED = np.array([JOINTS.index("_".join(_SWAPPED.get(part, part) for part in name.split("_"))) for name in JOINTS])

_LIMBS = np.array(
    [(JOINTS.index(a), JOINTS.index(b)) for a, b in (
        ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
        *((f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in (
            ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"))))]
)  # fmt: skip
_SURE = 0.3  # a joint's score that is believed
_SHORT = 0.15  # trunk lengths: a limb this short points at the viewer, and its direction counts for little
_MARGIN = 0.25  # of the joints' extent, about the next box
_LEAST_SEEN = 0.5  # of the frames, with a trunk in them


@dataclass(frozen=True)
class PictureMotion:
    """A dancer's joints in the picture."""

    joints: np.ndarray  # float64 [T 17 2], pixels, x to the viewer's right and y down
    scores: np.ndarray  # float64 [T 17], 0 to 1
    fps: float
    source: str = "video, ViTPose"

    @property
    def duration_s(self) -> float:
        return (len(self.joints) - 1) / self.fps

    @property
    def thresholds(self) -> tuple[float, float]:
        """eps and eps' for `distances`."""
        return (0.35, 0.42)

    @property
    def translation_m(self) -> np.ndarray:
        """The middle of the hips, float64 [T 3]: x to the dancer's left, who faces the viewer (the viewer's right), and y up."""
        hips = self.joints[:, [JOINTS.index("left_hip"), JOINTS.index("right_hip")]].mean(axis=1)
        trunk_m = 0.3 * BODY_M  # from shoulders to hips
        places = (hips - hips[0]) / max(float(np.median(self._trunk())), 1e-6) * trunk_m
        return np.stack([places[:, 0], -places[:, 1], np.zeros(len(places))], axis=1)

    def _trunk(self) -> np.ndarray:  # -> [T], pixels
        shoulders, hips = self.joints[:, 5:7].mean(axis=1), self.joints[:, 11:13].mean(axis=1)
        return np.linalg.norm(shoulders - hips, axis=1)

    def sampled(self, times_s: np.ndarray) -> PictureMotion:
        """The joints at `times_s` [N], between frames on straight lines; beyond the ends the last."""
        positions = np.asarray(times_s, np.float64) * self.fps
        frames = np.arange(len(self.joints))

        def at(values: np.ndarray) -> np.ndarray:
            columns = values.reshape(len(values), -1).T
            return np.stack([np.interp(positions, frames, c) for c in columns], axis=1).reshape(-1, *values.shape[1:])

        return replace(self, joints=at(self.joints), scores=at(self.scores))

    def mirrored(self) -> PictureMotion:
        """The same dance to the other side: x turned round, left and right joints changed over."""
        return replace(self, joints=self.joints[:, MIRRORED] * [-1.0, 1.0], scores=self.scores[:, MIRRORED])

    def distances(self, other: PictureMotion) -> np.ndarray:
        """Mean angle between limbs, radians, for all frames of both; short and unsure limbs weigh less: [T], [T'] -> [T T']."""
        (ours, our_weights), (theirs, their_weights) = self._directions(), other._directions()
        cosine = np.einsum("ila,jla->ijl", ours, theirs)
        weights = our_weights[:, None] * their_weights[None]
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        return (angle * weights).sum(axis=2) / np.maximum(weights.sum(axis=2), 1e-9)

    def _directions(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors [T L 2] of the limbs, and their weights [T L]."""
        limbs = self.joints[:, _LIMBS[:, 1]] - self.joints[:, _LIMBS[:, 0]]
        length = np.linalg.norm(limbs, axis=2)
        relative = length / max(float(np.median(self._trunk())), 1e-6)
        sure = np.minimum(self.scores[:, _LIMBS[:, 0]], self.scores[:, _LIMBS[:, 1]])
        weights = np.clip(sure / _SURE, 0.05, 1) * relative / (relative + _SHORT)
        return limbs / np.maximum(length, 1e-9)[..., None], weights


@dataclass(frozen=True)
class VitPose:
    """A loaded ViTPose: joints of the one person in a box."""

    model: VitPoseForPoseEstimation
    processor: object

    def joints(self, image: np.ndarray, box: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [H W 3] and a box (x, y, width, height) -> (float64 [17 2] pixels, float64 [17] scores)."""
        import torch

        asked = self.processor(image, boxes=[[list(box)]], return_tensors="pt")
        with torch.no_grad():
            found = self.model(pixel_values=asked["pixel_values"].to(self.model.device, self.model.dtype))
        person = self.processor.post_process_pose_estimation(found, boxes=[[list(box)]])[0][0]
        return person["keypoints"].double().cpu().numpy(), person["scores"].double().cpu().numpy()


def load_vitpose(folder: Path, *, device: str = "cpu") -> VitPose:
    """ViTPose from a local folder (safetensors only), on `device`; InputError where the folder holds none."""
    from safetensors import SafetensorError
    from transformers import VitPoseForPoseEstimation, VitPoseImageProcessor

    folder = Path(folder)
    missing = [name for name in ("config.json", "preprocessor_config.json") if not (folder / name).is_file()]
    if missing:
        raise InputError(f"ViTPose: {shown(folder.name)} is no checkpoint of it, it lacks {', '.join(missing)}.")
    try:
        model, loading = VitPoseForPoseEstimation.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except (OSError, SafetensorError) as error:
        raise InputError(f"ViTPose: the weights in {shown(folder.name)} cannot be read; fetch them anew.") from error
    if absent := sorted(loading["missing_keys"]):  # transformers would draw them at random
        raise InputError(
            f"ViTPose: the weights in {shown(folder.name)} lack {len(absent)} tensors, {absent[0]} for one."
        )
    if model.config.num_labels != len(JOINTS):
        raise InputError(f"ViTPose: {len(JOINTS)} joints (COCO) are needed, this one tells {model.config.num_labels}.")
    processor = VitPoseImageProcessor.from_pretrained(folder, local_files_only=True)
    return VitPose(model.eval().to(device), processor)


def watch_pose(path: str | os.PathLike, vitpose: VitPose) -> PictureMotion:
    """The motion in a video of one dancer, up to ten minutes; frames are taken one at a time.

    Raises InputError where the file is no video, is too long or too short, and where no person is found in most of it.
    """
    name = base_name(path)
    duration_s = probe(path).duration_s
    if duration_s > MAX_MOTION_S:
        raise InputError(f"{name}: at most {MAX_MOTION_S:g} s of video are read, got {duration_s:.0f} s.")
    joints, scores, box = [], [], None
    for frame in read_frames(path, fps=FPS):
        height, width = frame.image.shape[:2]
        places, sure = vitpose.joints(frame.image, box or (0.0, 0.0, float(width), float(height)))
        joints.append(places)
        scores.append(sure)
        box = next_box(places, sure, width, height)
    if len(joints) < 2:
        raise InputError(f"{name}: a video of at least two frames at {FPS:g} a second is needed.")
    seen = np.stack(scores)[:, [5, 6, 11, 12]].min(axis=1) > _SURE  # shoulders and hips
    if seen.mean() < _LEAST_SEEN:
        raise InputError(f"{name}: no person is found in most of its frames.")
    return PictureMotion(np.stack(joints), np.stack(scores), FPS)


def next_box(
    joints: np.ndarray, scores: np.ndarray, width: int, height: int
) -> tuple[float, float, float, float] | None:
    """Where to look in the next picture: about the joints that are sure; None (everywhere) where few are."""
    sure = joints[scores > _SURE]
    if len(sure) < 6:
        return None
    low, high = sure.min(axis=0), sure.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    left, top = np.maximum(low - margin, 0)
    right, bottom = np.minimum(high + margin, [width, height])
    if right - left < 8 or bottom - top < 8:
        return None
    return float(left), float(top), float(right - left), float(bottom - top)
