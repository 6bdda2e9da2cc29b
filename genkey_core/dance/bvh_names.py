"""Which joint of a BVH file is which joint of SMPL, told from its name and from what hangs on what."""

from __future__ import annotations

import re

from ..checks import InputError

# Names without side, prefix and punctuation, the likelier first. Where a file has several, the first listed is taken.
_ALIASES = {
    "hip": ("upleg", "thigh", "upperleg", "hip", "legupper", "femur"),
    "knee": ("leg", "knee", "shin", "calf", "lowerleg", "lowleg", "leglower", "tibia"),
    "ankle": ("foot", "ankle"),
    "foot": ("toebase", "toe", "toes", "ball"),
    "shoulder": ("arm", "uparm", "upperarm", "armupper", "shoulder", "humerus"),
    "elbow": ("forearm", "elbow", "lowerarm", "lowarm", "armlower", "radius"),
    "wrist": ("wrist", "hand"),
}
_PELVIS = ("hips", "pelvis", "hip", "root", "lowertorso")
_NEEDED = ("hip", "knee", "shoulder", "elbow")


def joint_map(names: list[str], parents: list[int], file_name: str) -> dict[str, int]:
    """SMPL joint -> number in the file. Spine, neck and collars follow from the chains between hips, head and arms.

    Raises InputError that lists what is missing of hips, knees, shoulders and elbows.
    """
    sides = {"left": {}, "right": {}}
    central = {}
    for number, name in enumerate(names):
        side, rest = _side(name)
        (sides[side] if side else central).setdefault(rest, number)
    mapped = {}
    for side, found in sides.items():
        for part, aliases in _ALIASES.items():
            number = next((found[alias] for alias in aliases if alias in found), None)
            # "foot" is the ankle of some files and the toes of others: SMPL's, whose feet hang on ankles.
            if part == "ankle" and "ankle" in found:
                number = found["ankle"]
            if part == "foot" and "ankle" in found and "foot" in found and number is None:
                number = found["foot"]
            if number is not None:
                mapped[f"{side}_{part}"] = number
    missing = [f"{side} {part}" for part in _NEEDED for side in sides if f"{side}_{part}" not in mapped]
    if missing:
        raise InputError(f"{file_name}: no joint is named as its {', '.join(missing)}.")
    _add_centre(mapped, central, parents, file_name)
    return mapped


def _add_centre(mapped: dict[str, int], central: dict[str, int], parents: list[int], file_name: str) -> None:
    """Pelvis, the three spine joints, collars, neck and head."""
    legs = [_above(mapped[f"{side}_hip"], parents) for side in ("left", "right")]
    arms = [_above(mapped[f"{side}_shoulder"], parents) for side in ("left", "right")]
    shared = [joint for joint in legs[0] if joint in legs[1]]
    if not shared:
        raise InputError(f"{file_name}: its legs hang on nothing that both share.")
    named = next((central[alias] for alias in _PELVIS if alias in central), shared[0])
    mapped["pelvis"] = named if named in shared else shared[0]
    chest = next((joint for joint in arms[0] if joint in arms[1]), None)
    if chest is None:
        raise InputError(f"{file_name}: its arms hang on nothing that both share.")
    trunk = [joint for joint in [chest, *_above(chest, parents)] if joint not in shared][::-1]
    for k in range(1, 4):
        if trunk:
            mapped[f"spine{k}"] = trunk[-(-k * len(trunk) // 3) - 1]
    for side, above in zip(("left", "right"), arms, strict=True):
        collars = above[: above.index(chest)]
        if collars:
            mapped[f"{side}_collar"] = collars[0]
    head = next((central[alias] for alias in ("head", "skull") if alias in central), None)
    if head is not None:
        mapped["head"] = head
        necks = [joint for joint in _above(head, parents) if joint not in (chest, *_above(chest, parents))]
        if necks:
            mapped["neck"] = necks[-1]
    elif "neck" in central:
        mapped["neck"] = central["neck"]


def _above(joint: int, parents: list[int]) -> list[int]:
    """The joints that a joint hangs on, the nearest first."""
    chain = []
    while (joint := parents[joint]) >= 0:
        chain.append(joint)
    return chain


def _side(name: str) -> tuple[str | None, str]:
    """(left, right or None, the name in small letters without side, prefix and punctuation)."""
    name = re.sub(r"^(.*[:|]|mixamorig\d*_?|bip\d+[_ ]?|f_avg_|m_avg_|b_)", "", name.strip(), flags=re.IGNORECASE)
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = [w for w in re.split(r"[^A-Za-z0-9]+", words) if w]
    for side, marks in (("left", ("left", "l")), ("right", ("right", "r"))):
        lower = [w.lower() for w in words]
        if any(w in marks for w in lower):
            return side, "".join(w for w in lower if w not in marks)
        if len(words) == 1 and len(name) > 1 and name[0] in (side[0].upper(), side[0]) and name[1].isupper():
            return side, name[1:].lower()
    return None, "".join(w.lower() for w in words)
