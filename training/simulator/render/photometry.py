"""How a camera records what is rendered: optics, sensor, colour processing and compression, one camera for each clip.

In a camera's order: defocus, vignette, sensor noise, white balance, saturation, exposure, tone curve, JPEG.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
MEAN_RANGE = (0.16, 0.6)
"""Exposure is kept such that the mean of a clip's frames is within, of 1, as exposure control does."""
_MIDDLE = 0.4  # level that contrast leaves as it is
_SHOULDER = 0.75  # recorded values above this are compressed instead of clipped
_NOISE_MARGIN = 32  # pixels by which the noise is larger than an image, for its random shifts
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Photometry:
    """One camera's processing, the same for all frames of a clip.

    Attributes:
        exposure: factor of the light. balance: factors of red, green and blue. gamma: exponent of the tone curve.
        contrast: slope of the tone curve at middle grey. saturation: factor of the chroma.
        defocus: standard deviation of the blur, share of the image's width. vignette: what the corners lose, of 1.
        noise: standard deviation of the sensor's noise, of 1. quality: of JPEG; 0 without compression.
        seed: of the noise.
    """

    exposure: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    defocus: float = 0.0
    vignette: float = 0.0
    noise: float = 0.0
    quality: int = 0
    seed: int = 0

    @classmethod
    def sample(cls, rng: np.random.Generator, images: Images) -> Photometry:
        """A random camera, exposed for frames (F, H, W, 3)."""
        gamma, vignette = float(np.exp(rng.normal(0, 0.12))), float(rng.uniform(0, 0.45) ** 1.2)
        # the vignette takes about a third of its strength from the mean
        mean = max(float(images[:: max(1, len(images) // 8)].mean()) / 255, 1e-3) * (1 - vignette / 3)
        low, high = (bound ** (1 / gamma) / mean for bound in MEAN_RANGE)
        warm, green = rng.normal(0, 0.07), rng.normal(0, 0.02)
        return cls(
            exposure=float(np.clip(2 ** rng.normal(-0.3, 0.4), min(low, 3.0), max(high, 0.3))),
            balance=(float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
            gamma=gamma,
            contrast=float(rng.uniform(0.85, 1.2)),
            saturation=float(rng.uniform(0.5, 1.15)),
            defocus=float(rng.uniform(0, 0.005)) if rng.uniform() < 0.6 else 0.0,
            vignette=vignette,
            noise=float(rng.uniform(0, 0.018)) if rng.uniform() < 0.7 else 0.0,
            quality=int(rng.integers(45, 95)) if rng.uniform() < 0.25 else 0,
            seed=int(rng.integers(2**31)),
        )

    def __call__(self, images: Images) -> Images:
        """Frames (F, H, W, 3) uint8 RGB as this camera records them."""
        count, height, width = images.shape[:3]
        curve, shade = self._curve(), self._shade(height, width)
        noise, shifts = self._noise(count, height, width)
        mix = (self.saturation * np.eye(3) + (1 - self.saturation) * _LUMA) * np.array(self.balance)
        blurred = self.defocus * width > 0.15
        result = np.empty_like(images)
        for k, image in enumerate(images):
            seen = cv2.GaussianBlur(image, (0, 0), self.defocus * width) if blurred else image
            seen = cv2.multiply(seen, shade, scale=1 / 255) if self.vignette else seen
            if self.noise:
                y, x = shifts[k]
                seen = cv2.add(seen, noise[y : y + height, x : x + width])
            seen = cv2.LUT(cv2.transform(seen, mix), curve)
            result[k] = _compressed(seen, self.quality) if self.quality else seen
        return result

    @property
    def _pedestal(self) -> int:
        """What is added to all levels with the noise, so that it has no negative values."""
        return round(3 * 255 * self.noise)

    def _curve(self) -> Images:
        """Recorded values of the 256 levels: (256,)."""
        light = np.maximum(np.arange(256) - self._pedestal, 0) / 255 * self.exposure
        level = light**self.gamma
        dark = _MIDDLE * (level / _MIDDLE) ** self.contrast
        level = np.where(level < _MIDDLE, dark, _MIDDLE + self.contrast * (level - _MIDDLE))
        room = 1 - _SHOULDER
        high = _SHOULDER + room * (1 - np.exp(-(np.maximum(level, _SHOULDER) - _SHOULDER) / room))
        level = np.where(level > _SHOULDER, high, level)
        return (np.clip(level, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _shade(self, height: int, width: int) -> Images:
        """What the vignette leaves of each pixel, of 255: (H, W, 3)."""
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        left = 255 * (1 - self.vignette * (x**2 + y**2) / 2)
        return np.repeat(left[..., None], 3, axis=-1).astype(np.uint8)

    def _noise(self, count: int, height: int, width: int) -> tuple[Images, NDArray[np.int64]]:
        """Noise larger than an image, and where each frame's begins: (H + margin, W + margin, 3), (F, 2)."""
        rng = np.random.default_rng(self.seed)
        if not self.noise:
            return np.zeros((0, 0, 3), np.uint8), np.zeros((count, 2), np.int64)
        size = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
        noise = self._pedestal + rng.standard_normal(size, np.float32) * (255 * self.noise)
        return np.clip(np.rint(noise), 0, 255).astype(np.uint8), rng.integers(0, _NOISE_MARGIN, (count, 2))


def _compressed(image: Images, quality: int) -> Images:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])  # red and blue change places twice
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
