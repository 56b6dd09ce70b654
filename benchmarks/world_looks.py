"""How near simulated frames are to real ones: Project Aria frames against rooms of the train split; prints a table.

    python -m benchmarks.world_looks                          rooms as they are made now, without and with --vary-look
    python -m benchmarks.world_looks --before 5f19724         and as an earlier revision of this repository made them
    python -m benchmarks.world_looks --model models/egotwin-mini     with the distance in a video VAE's latents

Real frames are those of ../shared/data/aria, rectified to the model's camera. The distance between sets of features is
the energy distance (Székely and Rizzo 2013), 0 for equal distributions; "nearest" is the mean over real frames of the
cosine distance to the nearest simulated frame. Both recordings of the real set, compared with each other, give the
scale. Features: EfficientNet-Lite0 (ImageNet), which no training uses. Colours are of 255, gradients of 255 a pixel.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ("aria_digital_twin_test_data/video.vrs", "aria_everyday_activities_test_data/recording.vrs")
STEP = 10  # of a clip's 41 frames every tenth is compared
Images = NDArray[np.uint8]


def simulated(rooms: int, size: int, **options: bool) -> Images:
    """Frames (N, size, size, 3) of one clip in each of the first rooms of the train split."""
    import training.simulator  # noqa: F401  before mujoco: chooses rendering without a screen
    from training.simulator.clip_maker import SUPERSAMPLE, ClipOptions, render_view, sample_motion
    from training.simulator.render.ego_renderer import EgoRenderer
    from training.simulator.rooms.plan import NoRoomError
    from training.simulator.rooms.scene import build_room

    frames = []
    for seed in range(rooms):
        spec, plan = build_room(seed, "train")
        renderer = EgoRenderer(spec, size, SUPERSAMPLE, articulations=plan.articulations)
        rng = np.random.default_rng([seed, 5])
        try:
            motion = sample_motion(rng, plan, "train", Counter())
            frames.append(render_view(renderer, motion, rng, ClipOptions(size, **options)).images[::STEP])
        except NoRoomError:  # no motion found its way; the next room has one
            continue
        finally:
            renderer.close()
    return np.concatenate(frames)


def simulated_before(revision: str, rooms: int, size: int) -> Images:
    """The same frames, made by the simulator of an earlier revision."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        path = Path(folder) / "frames.npy"
        line = [sys.executable, "-P", __file__, "--rooms", str(rooms), "--size", str(size), "--frames", str(path)]
        subprocess.run(line, cwd=folder, env=os.environ | {"PYTHONPATH": folder}, check=True)
        return np.load(path)


def real(size: int) -> list[Images]:
    """Frames of each of the Aria recordings in the view of the mini model's camera."""
    from egotwin_model.geometry.camera import Pinhole
    from egotwin_model.geometry.mount import Mount
    from training.datasets.aria.vrs import AriaRecording

    data = Path(os.environ.get("EGOTWIN_SHARED", ROOT.parent / "shared")) / "data/aria"
    camera, found = Pinhole.from_fov(size, size, np.pi / 2), []
    for name in RECORDINGS:
        recording = AriaRecording(data / name, camera, Mount())
        found.append(np.stack([recording.frame(k) for k in range(len(recording.stamps_ns))]))
    return found


def statistics(images: Images) -> dict[str, float]:
    """Means of frames' colours and gradients, and standard deviations of frames' means where the name says so."""
    values = images.astype(np.float32)
    grey = values.mean(axis=-1)
    chroma = values.max(axis=-1) - values.min(axis=-1)
    gradient = np.hypot(np.diff(grey, axis=1)[:, :, :-1], np.diff(grey, axis=2)[:, :-1])
    return {
        "grey": float(grey.mean()),
        "grey, std of frames": float(grey.mean(axis=(1, 2)).std()),
        "contrast (std within)": float(grey.std(axis=(1, 2)).mean()),
        "chroma": float(chroma.mean()),
        "vivid pixels, %": float(100 * (chroma > 100).mean()),
        "red − blue": float((values[..., 0] - values[..., 2]).mean()),
        "gradient": float(gradient.mean()),
        "gradient, 95th %": float(np.percentile(gradient, 95)),
    }


def distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> dict[str, float]:
    """Energy distance between two sets of features (N, D), (M, D), and the mean distance from `first` to its nearest.

    The energy distance takes each pair of different members of one set once, so that small sets are not favoured.
    """
    from scipy.spatial.distance import cdist, pdist

    between = cdist(first, second).mean()
    energy = 2 * between - pdist(first).mean() - pdist(second).mean()
    return {"energy": float(energy), "nearest": float(cdist(first, second, "cosine").min(axis=1).mean())}


def latents(images: Images, folder: Path) -> NDArray[np.float32]:
    """Frames in a model's video VAE: each channel's mean and standard deviation over space, (N, 2 * channels)."""
    import torch

    from egotwin_model.video.vae import encode_video, load_video_vae

    vae, parts = load_video_vae(folder / "video_vae"), []
    with torch.inference_mode():
        for start in range(0, len(images), 16):
            batch = torch.from_numpy(images[start : start + 16]).permute(0, 3, 1, 2).float() / 127.5 - 1
            latent = encode_video(vae, batch[:, :, None])
            parts.append(torch.cat([latent.mean((-1, -2, -3)), latent.std((-1, -2, -3))], dim=-1))
    return torch.cat(parts).numpy()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=60, help="five frames of each (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--before", metavar="REVISION", help="measure rooms of this revision too")
    parser.add_argument("--model", type=Path, help="model folder whose video VAE's latents are compared too")
    parser.add_argument("--frames", type=Path, help="only write the simulated frames to this file")
    options = parser.parse_args(argv)
    if options.frames:
        np.save(options.frames, simulated(options.rooms, options.size))
        return 0
    from training.evaluation.extractors.base import EfficientNetLite0

    recordings = real(options.size)
    sets = {"Aria": np.concatenate(recordings)}
    if options.before:
        sets[f"rooms of {options.before}"] = simulated_before(options.before, options.rooms, options.size)
    sets["rooms now"] = simulated(options.rooms, options.size)
    sets["rooms now, --vary-look"] = simulated(options.rooms, options.size, vary_look=True)
    extract = EfficientNetLite0()
    spaces = {"": {name: extract(images) for name, images in sets.items()}}
    if options.model:
        spaces["latents, "] = {name: latents(images, options.model) for name, images in sets.items()}
    print(f"{sum(map(len, recordings))} real frames, {len(sets['rooms now'])} simulated ones of {options.rooms} rooms")
    scale = distances(*(extract(images) for images in recordings))
    print(f"between the two recordings: energy {scale['energy']:.2f}, nearest {scale['nearest']:.3f}")
    rows = {name: statistics(images) for name, images in sets.items()}
    for space, features in spaces.items():
        for name in list(sets)[1:]:
            found = distances(features["Aria"], features[name])
            rows[name] |= {f"{space}{key}": value for key, value in found.items()}
    print("| | " + " | ".join(rows) + " |\n|---|" + "---|" * len(rows))
    for key in rows["rooms now"]:
        print(f"| {key} | " + " | ".join(f"{row[key]:.3g}" if key in row else "" for row in rows.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
