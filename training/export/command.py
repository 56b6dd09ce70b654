"""``egotwin export``: writes trained stages as a model folder: float16 weights, ONNX graphs, checksums."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from egotwin_model.depth.network import DepthNetwork, load_depth_network
from egotwin_model.diffusion.sampler import Guidance, Pace, Schedule
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.pipeline import SamplingDefaults
from egotwin_model.egotwin.pretrained import link_or_copy
from egotwin_model.egotwin.transformer import EgoTwinTransformer, load_transformer
from egotwin_model.egotwin.variants import VARIANTS, variant
from egotwin_model.errors import EgoTwinError, ModelError
from egotwin_model.geometry.camera import Pinhole
from egotwin_model.geometry.mount import Mount
from egotwin_model.geometry.skeleton import XSENS, Skeleton
from egotwin_model.io.files import read_json, whole_folder, write_json
from egotwin_model.io.store import (
    WEIGHTS,
    component_config,
    load_tensors,
    save_component,
    save_tensors,
    write_manifest,
)
from egotwin_model.motion.representation_kinds import representation_of
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import MotionVAE, load_motion_vae
from egotwin_model.runtimes.onnx_runtime import GRAPHS
from egotwin_model.video.vae import CausalVideoVAE, load_video_vae
from training.export.graphs import export_graphs
from training.export.model_parts import Networks
from training.stages.recipes import (
    RECIPES,
    STAGES,
    TEXT_PACKAGE,
    DepthRecipe,
    DiffusionRecipe,
    MotionVAERecipe,
    VideoCodecRecipe,
)
from training.stages.representations import trained_representation
from training.stages.run_folder import (
    CLIPS,
    METRICS,
    RECIPE,
    SCALE,
    STATISTICS,
    depth_folder,
    motion_decoder_folder,
    stage_folder,
)

# sizes of which every part is trained here
WHOLE = [name for name, recipes in RECIPES.items() if "/" not in name and len(recipes) == len(STAGES)]


def trained_networks(runs: Path, row: str = VARIANTS[0], pretrained: Path | None = None) -> Networks:
    """The networks of a runs folder in which all stages of a row of the paper's tables were trained.

    Args:
        pretrained: CogVideoX-5b-I2V's folder, where the stages started from it. The transformer is then read and
            shipped in bfloat16, as CogVideoX is, without a second copy in memory.

    Raises:
        ModelError: a stage has no weights, or the parts do not belong together.
    """
    networks = _trained_networks(runs, row, pretrained)
    if row == VARIANTS[0] and (depth_folder(runs) / WEIGHTS).is_file():
        networks = replace(networks, depth=load_depth_network(depth_folder(runs)))
    return networks


def _trained_networks(runs: Path, row: str, pretrained: Path | None) -> Networks:
    settings = variant(row, EgoTwinConfig.mini())  # the parts do not depend on the size
    folders, last = _folders(runs, row)
    for stage in ("video-codec", "motion-vae", last):
        if stage in folders and not (folders[stage] / WEIGHTS).is_file():
            raise ModelError(f"{folders[stage]} has no weights; run `egotwin train {stage} --runs {runs}` first")
    given = _given(pretrained, settings.with_video, component_config(folders[last]))
    transformer = load_transformer(folders[last], torch.bfloat16 if given else torch.float32)
    video_vae = load_video_vae(folders["video-codec"]) if settings.with_video and not given else None
    if settings.representation is None:
        return Networks(transformer, None, video_vae, None, None, None, given)
    folder = folders["motion-vae"]
    return Networks(
        transformer,
        _motion_vae(runs, row, folder),
        video_vae,
        trained_representation(runs, settings.representation),
        MotionStatistics.from_tensors(load_tensors(folder / STATISTICS)),
        load_tensors(folder / SCALE)["motion_latent.scale"],
        given,
    )


def _folders(runs: Path, row: str) -> tuple[dict[str, Path], str]:
    """The folder of every stage of a row of the paper's tables, by name, and the name of its last stage."""
    settings = variant(row, EgoTwinConfig.mini())
    kind = settings.representation
    stages = ["text-to-motion", "joint"]
    stages += [] if kind is None else ["motion-vae"]
    stages += ["motion-decoder", "depth"] if row == VARIANTS[0] else []
    stages += ["video-codec"] if settings.with_video else []
    folders = {stage: stage_folder(runs, stage, variant=row, representation=kind or "head-centric") for stage in stages}
    return folders, "joint" if settings.with_video else "text-to-motion"


def _motion_vae(runs: Path, row: str, folder: Path) -> MotionVAE:
    """Stage 1's motion VAE; EgoTwin's own row has the decoder that was trained further, where there is one."""
    whole, further = load_motion_vae(folder), motion_decoder_folder(runs)
    if row != VARIANTS[0] or not (further / WEIGHTS).is_file():
        return whole
    found = load_motion_vae(further)
    ours, theirs = found.encoder.state_dict(), whole.encoder.state_dict()
    if ours.keys() != theirs.keys() or not all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items()):
        raise ModelError(
            f"{further} started from another motion VAE than {folder} holds now; run `egotwin train motion-decoder` "
            "again in a new folder, or remove it"
        )
    return found


def _given(pretrained: Path | None, with_video: bool, transformer: dict[str, Any]) -> dict[str, Path]:
    """The parts of a model that are CogVideoX's own, where its stages started from that."""
    if pretrained is None:
        if transformer["text_dim"] != EgoTwinConfig.mini().text_dim:
            raise ModelError(
                f"this transformer takes text states of {transformer['text_dim']} channels, {TEXT_PACKAGE} gives "
                f"{EgoTwinConfig.mini().text_dim}: name CogVideoX-5b-I2V's folder by --pretrained"
            )
        return {}
    parts = {"video_vae": pretrained / "vae"} if with_video else {}
    parts["text_encoder"] = pretrained / "text_encoder"
    for part in (*parts.values(), pretrained / "tokenizer"):
        if not part.is_dir():
            raise ModelError(f"{part} is missing; wanted a diffusers pipeline folder of CogVideoX-5b-I2V")
    return parts


def random_networks(config_name: str, seed: int = 0, skeleton: Skeleton = XSENS) -> Networks:
    """Untrained networks of a named configuration: the real classes at their real sizes, for tests and benchmarks."""
    recipes = RECIPES[config_name]
    joint, motion, codec = (recipes[stage] for stage in ("joint", "motion-vae", "video-codec"))
    depth = recipes.get("depth")  # rows of the paper's tables have none of their own
    assert isinstance(joint, DiffusionRecipe)
    assert isinstance(motion, MotionVAERecipe)
    assert isinstance(codec, VideoCodecRecipe)
    assert depth is None or isinstance(depth, DepthRecipe)
    torch.manual_seed(seed)
    transformer = EgoTwinTransformer(joint.model)
    for parameter in transformer.parameters():  # zero-initialised outputs would predict nothing
        nn.init.normal_(parameter, std=0.02)
    representation = representation_of(motion.representation, skeleton)
    motion_vae = MotionVAE(replace(motion.model, feature_dim=representation.dim))
    statistics = MotionStatistics(torch.zeros(representation.dim), torch.ones(representation.dim))
    return Networks(
        transformer.eval(), motion_vae.eval(), CausalVideoVAE(codec.model).eval(), representation, statistics,
        torch.ones(1), depth=None if depth is None else DepthNetwork(depth.model).eval(),
    )  # fmt: skip


def export(
    networks: Networks,
    folder: Path,
    name: str,
    defaults: SamplingDefaults,
    details: dict[str, Any],
    *,
    graphs: bool = True,
) -> Path:
    """Writes a model folder; it gets its final name only when complete.

    Args:
        folder: replaced where it exists.
        name: the model's name, for instance "egotwin-mini".
        defaults: sampling settings stored in ``model_index.json``.
        details: training configuration, data seed and measured metrics for the manifest.
        graphs: also write the ONNX graphs (half a minute); without them only the torch runtime can run the folder.
            Models without motion or without video, and those that started from CogVideoX, have none.
    """
    with whole_folder(folder) as temporary:
        for component, module in networks.components().items():
            dtype = torch.bfloat16 if networks.given and component == "transformer" else torch.float16
            _round(module, dtype)
            save_component(temporary / component, module, dtype)
        for component, source in networks.given.items():
            shutil.copytree(source, temporary / component, copy_function=link_or_copy)
        if "text_encoder" in networks.given:
            tokenizer = networks.given["text_encoder"].parent / "tokenizer"
            shutil.copytree(tokenizer, temporary / "text_encoder", copy_function=link_or_copy, dirs_exist_ok=True)
        if networks.statistics is not None and networks.motion_scale is not None:
            statistics = {**networks.statistics.to_tensors(), "motion_latent.scale": networks.motion_scale}
            save_tensors(temporary / "statistics.safetensors", statistics)
        write_json(temporary / "model_index.json", _index(networks, name, defaults, details.get("clips", {})))
        if graphs and len(networks.modalities) == 2 and not networks.given:
            write_json(temporary / GRAPHS, export_graphs(networks, temporary / "onnx"))
        write_manifest(temporary, {"name": name, **details})
    return folder


def _round(module: nn.Module, dtype: torch.dtype) -> None:
    """Rounds the weights to `dtype`, in which they are stored, so that graphs and files agree exactly."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point() and tensor.dtype != dtype:
                tensor.copy_(tensor.to(dtype))


def _index(networks: Networks, name: str, defaults: SamplingDefaults, clips: Mapping[str, Any]) -> dict[str, Any]:
    height, width = networks.image_size
    if "video" in networks.modalities and "camera" in clips and clips["camera"] is None:
        raise ModelError(
            f"{name} was trained on clips of different cameras, a model folder has one; train its last stage on clips "
            "of one camera (`egotwin data world` without --vary-camera)"
        )
    camera = clips.get("camera") or asdict(Pinhole.from_fov(width, height, fov_x=torch.pi / 2))
    return {
        "_class_name": "EgoTwinPipeline",
        "name": name,
        "text_encoder": "text_encoder" if "text_encoder" in networks.given else TEXT_PACKAGE,
        "camera": camera,
        "mount": clips.get("mount") or asdict(Mount()),
        "num_frames": networks.num_frames,
        "frame_rate": 8.0,
        "num_poses": networks.num_poses,
        "pose_rate": 16.0,
        "modalities": networks.modalities,
        **({"representation": networks.representation.describe()} if networks.representation else {}),
        "sampling": asdict(_led_by_motion(defaults) if networks.transformer.config.prior_condition else defaults),
    }


def _led_by_motion(defaults: SamplingDefaults) -> SamplingDefaults:
    """Settings under which motion is finished before the video begins, so that its prior is known; paces that are set
    stay."""
    if (defaults.motion_pace, defaults.video_pace) != (Pace(), Pace()):
        return defaults
    return replace(defaults, motion_pace=Pace(end=0.5), video_pace=Pace(begin=0.5))


def training_details(runs: Path, row: str = VARIANTS[0]) -> dict[str, Any]:
    """The training of a runs folder, for the manifest: each stage's recipe and last metrics, and the clips."""
    (folders, last), stages = _folders(runs, row), {}
    for stage in (stage for stage in STAGES if (folders.get(stage, runs) / METRICS).is_file()):
        line = (folders[stage] / METRICS).read_text(encoding="utf-8").splitlines()[-1]
        stages[stage] = {"recipe": read_json(folders[stage] / RECIPE), "last_metrics": json.loads(line)}
    if not (folders[last] / CLIPS).is_file():
        raise ModelError(f"{folders[last]} has no {CLIPS}, the record of its clips; run `egotwin train {last}` again")
    return {"clips": read_json(folders[last] / CLIPS), "stages": stages}


def _schedule(details: Mapping[str, Any]) -> Schedule:
    """The noise schedule of the model's training."""
    last = list(details.get("stages", {}).values())[-1:]
    return Schedule(**last[0]["recipe"]["schedule"]) if last else Schedule()


def main(argv: list[str] | None = None) -> int:
    """Command line of ``egotwin export``."""
    parser = argparse.ArgumentParser(prog="egotwin export", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--runs", type=Path, help="folder that holds the trained stages")
    source.add_argument("--random", choices=WHOLE, help="untrained weights of this configuration instead")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--pretrained", type=Path, help="CogVideoX-5b-I2V's folder, where the stages started from it")
    parser.add_argument("--name", default="egotwin-mini")
    parser.add_argument("--variant", choices=VARIANTS, default=VARIANTS[0], help="row of the paper's tables")
    parser.add_argument("--no-graphs", action="store_true", help="leave out the ONNX graphs; torch runs the folder")
    parser.add_argument("--note", help="a remark on this training, kept in the manifest")
    parser.add_argument("--num-steps", type=int, default=SamplingDefaults().num_steps, help="sampler steps to store")
    parser.add_argument("--spacing", type=float, default=1.0, help="spacing of the sampler's steps to store")
    parser.add_argument(
        "--guidance",
        type=float,
        nargs=3,
        default=(1.0, 1.0, 1.0),
        metavar=("TEXT", "VIDEO", "MOTION"),
        help="guidance scales to store",
    )
    arguments = parser.parse_args(argv)
    try:
        if arguments.runs:
            networks = trained_networks(arguments.runs, arguments.variant, arguments.pretrained)
            details = training_details(arguments.runs, arguments.variant)
        else:
            networks, details = random_networks(arguments.random), {}
        schedule = replace(_schedule(details), spacing=arguments.spacing)
        defaults = SamplingDefaults(arguments.num_steps, Guidance(*arguments.guidance), schedule)
        if arguments.note:
            details["note"] = arguments.note
        export(networks, arguments.out, arguments.name, defaults, details, graphs=not arguments.no_graphs)
    except EgoTwinError as error:
        print(f"egotwin export: {error}")
        return 1
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
