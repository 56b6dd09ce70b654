"""``egotwin unpack``: turns a model folder into a runs folder, to train the model further.

    egotwin unpack --model models/egotwin-mini --runs runs/mine
    egotwin train joint --config mini --data data/mine --runs runs/mine

Its codecs and statistics are used unchanged. Stage 3 starts from its transformer instead of stage 2's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from egotwin_model.depth.network import load_depth_network
from egotwin_model.egotwin.transformer import load_transformer
from egotwin_model.egotwin.variants import VARIANTS
from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.io.files import read_json, sha256, whole_folder
from egotwin_model.io.store import WEIGHTS, load_tensors, save_component, save_tensors, verify
from egotwin_model.motion.head_centric import HeadCentric
from egotwin_model.motion.representation_kinds import read_representation
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import load_motion_vae
from egotwin_model.video.vae import CausalVideoVAE, load_video_vae
from training.stages.representations import save_representation
from training.stages.run_folder import (
    SCALE,
    STATISTICS,
    codec_folder,
    depth_folder,
    diffusion_folder,
    motion_vae_folder,
)


def unpack(model: Path, runs: Path) -> None:
    """Writes the stages' folders of a model of video and motion, as float32.

    Args:
        runs: new, or empty; it gets its name only when complete.

    Raises:
        ModelError: the model folder is altered or incomplete, started from CogVideoX, or lacks a modality; or `runs` is
            not empty.
    """
    verify(model)
    index = read_json(model / "model_index.json")
    representation = read_representation(index.get("representation", {"kind": HeadCentric.kind}))
    if set(index.get("modalities", ("video", "motion"))) != {"video", "motion"}:
        raise ModelError(f"{model} generates {index['modalities']} alone; only models of video and motion are unpacked")
    codec = load_video_vae(model / "video_vae")
    if not isinstance(codec, CausalVideoVAE):
        raise ModelError(f"{model} started from CogVideoX: train it further in the runs folder it was exported from")
    if runs.exists() and any(runs.iterdir()):
        raise ModelError(f"{runs} is not empty; name a new folder, so that trainings are not mixed")
    with whole_folder(runs) as temporary:
        save_component(codec_folder(temporary), codec)
        transformer = diffusion_folder(temporary, VARIANTS[0], "text-to-motion")
        save_component(transformer, load_transformer(model / "transformer"))
        folder = motion_vae_folder(temporary, representation.kind)
        tensors = load_tensors(model / "statistics.safetensors")
        save_component(folder, load_motion_vae(model / "motion_vae"))
        save_representation(folder, representation)
        scale = tensors.pop("motion_latent.scale")
        save_tensors(folder / STATISTICS, MotionStatistics.from_tensors(tensors).to_tensors())
        if (model / "depth").is_dir():
            save_component(depth_folder(temporary), load_depth_network(model / "depth"))
        save_tensors(folder / SCALE, {"motion_latent.scale": scale}, {"motion_vae": sha256(folder / WEIGHTS)})


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin unpack``."""
    parser = argparse.ArgumentParser(
        prog="egotwin unpack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/egotwin-mini"))
    parser.add_argument("--runs", type=Path, required=True, help="folder to write, new or empty")
    arguments = parser.parse_args(argv)
    try:
        unpack(arguments.model, arguments.runs)
    except EgoTwinError as error:
        print(f"{parser.prog}: {error}")
        return 1
    print(f"{arguments.runs}: train it further by `egotwin train joint --runs {arguments.runs} --data …`")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
