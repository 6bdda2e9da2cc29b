"""Shared fixtures: where the optional real media lies, and seeded randomness."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Properties are judged by what comes out, never by how long a busy machine took over one example, and every run judges
# the same examples.
settings.register_profile("untimed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Whatever a test or its fixtures draw without a seed is the same in every run, and whichever tests ran before."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder of real media beside the checkout; tests that need it are skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real media not present beside the checkout")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """The running hub, one for all tests that only use it."""
    from hub_server import HubServer

    with HubServer(tmp_path_factory.mktemp("hub")) as server:
        yield server


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> list[Path]:
    """Three small PNGs of a textured square that moves to the right, painted here."""
    import cv2

    folder = tmp_path_factory.mktemp("pictures")
    paint = np.random.default_rng(3)
    back = cv2.GaussianBlur(paint.integers(0, 255, (120, 160, 3)).astype(np.float32), (0, 0), 6)
    back = cv2.normalize(back, None, 40, 200, cv2.NORM_MINMAX).astype(np.uint8)
    square = cv2.normalize(paint.integers(0, 255, (40, 40, 3)).astype(np.float32), None, 0, 255, cv2.NORM_MINMAX)
    square = cv2.GaussianBlur(square, (0, 0), 2).astype(np.uint8)
    paths = []
    for k in range(3):
        image = back.copy()
        image[40:80, 30 + 12 * k : 70 + 12 * k] = square
        paths.append(folder / f"move-{k + 1}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> list[Path]:
    """Keyframes of a drawn dancer."""
    from dance_hub import pose_files

    return pose_files(tmp_path_factory.mktemp("poses"))


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    """Six seconds of drums at 120 beats a minute."""
    from dance_hub import drum_loop

    return drum_loop(tmp_path_factory.mktemp("song") / "drums.wav")
