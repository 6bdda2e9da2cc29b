"""Full-reference picture metrics for the benchmarks, and seeded bootstrap intervals; NumPy and OpenCV only.

Every picture metric takes two uint8 [H W 3] RGB pictures of one size, the candidate first and the truth second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

LUMA_RGB = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # BT.601, as in the papers cited below


def luma(image: np.ndarray) -> np.ndarray:
    """uint8 [H W 3] RGB -> float32 [H W] in [0, 255]."""
    return cv2.transform(image.astype(np.float32), LUMA_RGB[None])


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal to noise ratio over all RGB samples, in dB; higher is better; equal pictures give infinity."""
    mse = float(np.mean(np.square(image.astype(np.float32) - truth.astype(np.float32))))
    return float("inf") if mse == 0.0 else 10.0 * float(np.log10(255.0**2 / mse))


def ssim(image: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of the luma (Wang et al. 2004): 11x11 Gaussian, sigma 1.5, K = 0.01, 0.03; 1 is equal."""
    x, y = luma(image), luma(truth)

    def mean(field: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(field, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT_101)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    similarity = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(similarity.mean())


def gmsd(image: np.ndarray, truth: np.ndarray) -> float:
    """Gradient magnitude similarity deviation of the luma (Xue et al. 2014): 2x2 mean, Prewitt, c = 170; 0 is equal."""
    kernel = np.repeat(np.array([[1.0, 0.0, -1.0]], dtype=np.float32) / 3.0, 3, axis=0)

    def magnitude(picture: np.ndarray) -> np.ndarray:
        half = cv2.blur(luma(picture), (2, 2))[::2, ::2]
        return np.hypot(cv2.filter2D(half, -1, kernel), cv2.filter2D(half, -1, kernel.T))

    a, b = magnitude(image), magnitude(truth)
    return float(np.std((2 * a * b + 170.0) / (a * a + b * b + 170.0)))


def sharpness(image: np.ndarray) -> float:
    """Mean magnitude of the luma's Sobel gradient: high where edges are crisp, low in a blur or a soft ghost."""
    y = luma(image)
    return float(cv2.magnitude(cv2.Sobel(y, cv2.CV_32F, 1, 0), cv2.Sobel(y, cv2.CV_32F, 0, 1)).mean())


def relative_sharpness(image: np.ndarray, truth: np.ndarray) -> float:
    """`sharpness(image) / sharpness(truth)`: 1 is as sharp as the truth, below 1 softer."""
    return sharpness(image) / max(sharpness(truth), 1e-6)


def bootstrap_interval(
    values: Sequence[float],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = 2000,
    statistic: Callable[..., np.ndarray] = np.mean,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic` over `values`, resampled with replacement; (low, high)."""
    array = np.asarray(values, dtype=np.float64)
    picks = rng.integers(0, len(array), size=(n_resamples, len(array)))
    estimates = statistic(array[picks], axis=1)
    tail = 100.0 * (1.0 - level) / 2.0
    return float(np.percentile(estimates, tail)), float(np.percentile(estimates, 100.0 - tail))
