"""Soft edges: the guided filter (He, Sun and Tang 2013), and a subject's colours without the background they were mixed with."""

from __future__ import annotations

import cv2
import numpy as np


def guided_filter(guide: np.ndarray, values: np.ndarray, *, radius: int, eps: float) -> np.ndarray:  # [H W] float32
    """`values` float32 [H W] smoothed along the edges of `guide` uint8 [H W 3]; `eps` in squared units of a 0-to-1 picture."""
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, window, borderType=cv2.BORDER_REFLECT)

    channels = [np.ascontiguousarray(guide[..., c], np.float32) / np.float32(255.0) for c in range(3)]
    means = [mean(c) for c in channels]
    mean_values = mean(values)
    covariance = np.stack([mean(c * values) - m * mean_values for c, m in zip(channels, means, strict=True)], -1)
    sigma = np.empty((*values.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            sigma[..., i, j] = sigma[..., j, i] = mean(channels[i] * channels[j]) - means[i] * means[j]
        sigma[..., i, i] += np.float32(eps)
    slope = _solve_symmetric(sigma, covariance)
    offset = mean_values - sum(slope[..., c] * means[c] for c in range(3))
    return sum(mean(np.ascontiguousarray(slope[..., c])) * channels[c] for c in range(3)) + mean(offset)


def _solve_symmetric(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:  # [H W 3]
    """Cramer's rule for positive definite [H W 3 3]; far faster than a solver over half a million little systems."""
    a, b, c = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2]
    d, e, f = matrix[..., 1, 1], matrix[..., 1, 2], matrix[..., 2, 2]
    ca, cb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = np.maximum(a * ca + b * cb + c * cc, 1e-20)
    cd, ce, cf = a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = right[..., 0], right[..., 1], right[..., 2]
    return (
        np.stack([ca * x + cb * y + cc * z, cb * x + cd * y + ce * z, cc * x + ce * y + cf * z], -1)
        / determinant[..., None]
    )


def refine(image: np.ndarray, mask: np.ndarray) -> np.ndarray:  # [H W] float32 0..1
    """The soft mask of a hard one, bool [H W]: fur and motion blur follow the picture within a narrow band."""
    h, w = mask.shape
    radius = max(2, round(0.006 * max(h, w)))
    soft = guided_filter(image, mask.astype(np.float32), radius=radius, eps=1e-4)
    soft = np.clip((soft - 0.1) / 0.8, 0.0, 1.0)
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    reach = 1.5 * radius
    soft = np.where(inside > reach, 1.0, np.where(outside > reach, 0.0, soft))
    return soft.astype(np.float32)


def pure_colours(image: np.ndarray, mask: np.ndarray) -> np.ndarray:  # [H W 3] float32
    """The subject's own colours everywhere: where `mask` float32 [H W] is full the picture's, beyond it those next to it.

    Continued outwards (push-pull), so that any silhouette may be filled with them.
    """
    sure = np.where(mask > 0.95, np.float32(1.0), np.float32(0.0))
    if not sure.any():
        sure = mask
    return push_pull(image.astype(np.float32) * sure[..., None], sure)


def push_pull(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:  # [H W C]
    """`sums / weights` where there is weight, continued from a coarser level where there is none."""
    h, w = weights.shape
    if max(h, w) <= 2:
        return np.broadcast_to(sums.sum((0, 1)) / max(float(weights.sum()), 1e-6), sums.shape).astype(np.float32)
    half = ((w + 1) // 2, (h + 1) // 2)
    smaller = [cv2.resize(x, half, interpolation=cv2.INTER_AREA) for x in (sums, weights)]
    coarse = push_pull(smaller[0].reshape(half[1], half[0], -1), smaller[1])  # OpenCV drops a lone channel
    coarse = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR).reshape(sums.shape)
    known = np.minimum(weights, 1.0)[..., None]
    return known * (sums / np.maximum(weights, 1e-6)[..., None]) + (1.0 - known) * coarse
