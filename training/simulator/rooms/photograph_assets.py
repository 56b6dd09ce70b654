"""Makes the photographs in assets/ from two published packages.

`python -m training.simulator.rooms.photograph_assets robosuite/models/assets/textures package/hdri`

Sources: the wheel of robosuite 1.5.2 from PyPI (MIT, see assets/LICENSE.robosuite) and the npm package
`@pmndrs/assets` 1.7.0 (CC0, see assets/LICENSE.pmndrs-assets; panoramas of polyhaven.com). Both are unpacked first.
Surfaces become squares of 256 px; panoramas become strips around the horizon with the exposure of a camera. Brands
(robosuite's can, cereal and soda) are left out. Reading the panoramas needs the package OpenEXR.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from egotwin_model.io.files import write_atomically
from training.simulator.rooms.photographs import ASSETS, PHOTOGRAPHS

SIDE, STRIP = 256, (512, 128)
QUALITY = 88
_SUN = 25.0  # brighter pixels are white; around the sun the package's compression left single channels
_HORIZON = (0.26, 0.64)  # shares of a panorama's height from zenith to nadir that the strip shows


def surface(path: Path) -> NDArray[np.uint8]:
    """A photographed surface as a square, BGR."""
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    side = min(image.shape[:2])
    return cv2.resize(image[:side, :side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def panorama(path: Path) -> NDArray[np.uint8]:
    """The strip around a panorama's horizon, BGR, exposed so that only the brightest tenth is white."""
    import OpenEXR  # only this script needs it

    encoded = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
    if encoded is None:
        raise ValueError(f"{path} holds no base64 data: give the hdri folder of @pmndrs/assets")
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(base64.b64decode(encoded[1]))
        file.flush()
        with OpenEXR.File(file.name) as opened:
            channels: dict[str, Any] = opened.channels()
            planes = channels["RGB"].pixels if "RGB" in channels else np.stack([channels[c].pixels for c in "RGB"], -1)
    light = np.asarray(planes, np.float32)
    light = np.where(np.abs(light).max(axis=-1, keepdims=True) > _SUN, _SUN, light)
    top, bottom = (round(share * len(light)) for share in _HORIZON)
    strip = cv2.resize(light[top:bottom], STRIP, interpolation=cv2.INTER_AREA)
    exposed = np.clip(strip / np.percentile(strip.max(axis=-1), 90), 0, 1) ** (1 / 2.2)
    return np.ascontiguousarray((exposed * 255 + 0.5).astype(np.uint8)[..., ::-1])


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("textures", type=Path, help="robosuite's folder of textures")
    parser.add_argument("panoramas", type=Path, help="the folder hdri of @pmndrs/assets")
    options = parser.parse_args(argv)
    for name, about in PHOTOGRAPHS.items():
        if about.is_panorama:
            image = panorama(options.panoramas / f"{name}.exr.js")
        else:
            image = surface(options.textures / f"{name}.png")
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        assert done
        write_atomically(ASSETS / f"{name}.jpg", partial(_write, data=data.tobytes()))
    size = sum(path.stat().st_size for path in ASSETS.glob("*.jpg"))
    print(f"{ASSETS}: {len(PHOTOGRAPHS)} photographs, {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
