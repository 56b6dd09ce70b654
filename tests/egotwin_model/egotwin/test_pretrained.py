"""CogVideoX's weights on disk against diffusers' own class: every tensor used, equal predictions, named refusals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file
from torch import Tensor

from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.pipeline import BodyState, EgoTwinPipeline
from egotwin_model.egotwin.pretrained import (
    COGVIDEOX_GRID,
    TABLE,
    cogvideox_schedule,
    convert_cogvideox,
    crop_positions,
    from_cogvideox,
    load_cogvideox,
)
from egotwin_model.egotwin.transformer import EgoTwinTransformer, load_transformer
from egotwin_model.errors import ModelError
from egotwin_model.geometry.skeleton import forward_kinematics, reference_offsets
from egotwin_model.io.files import write_json
from egotwin_model.io.modules import without_memory
from egotwin_model.io.store import save_component, save_tensors, write_manifest
from egotwin_model.io.weights import Weights
from egotwin_model.motion.statistics import MotionStatistics
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig
from egotwin_model.video.vae import load_video_vae

from ...shared_data import missing_extra

WHOLE = EgoTwinConfig(
    num_layers=3, num_motion_layers=2, num_heads=2, head_dim=64, time_embed_dim=32, text_dim=48, text_length=12,
    latent_channels=4, latent_frames=4, latent_height=8, latent_width=12, motion_width=32, motion_channels=8,
    motion_length=7, motion_gate=True,
)  # fmt: skip
WINDOW = replace(WHOLE, latent_frames=3, latent_width=8, motion_length=5, position_origin=(0, 1))
SHARD = "diffusion_pytorch_model-0000{}-of-00003.safetensors"
INDEX = "diffusion_pytorch_model.safetensors.index.json"

# transformer/config.json of the hub's THUDM/CogVideoX-5b-I2V
I2V: dict[str, Any] = {
    "num_attention_heads": 48, "attention_head_dim": 64, "in_channels": 32, "out_channels": 16, "num_layers": 42,
    "time_embed_dim": 512, "text_embed_dim": 4096, "max_text_seq_length": 226, "sample_width": 90, "sample_height": 60,
    "sample_frames": 49, "patch_size": 2, "temporal_compression_ratio": 4, "spatial_interpolation_scale": 1.875,
    "temporal_interpolation_scale": 1.0, "use_rotary_positional_embeddings": True,
    "use_learned_positional_embeddings": True,
}  # fmt: skip


@pytest.fixture
def copy(cogvideox_folder: Path, tmp_path: Path) -> Path:
    """The transformer folder, free to be damaged."""
    return shutil.copytree(cogvideox_folder / "transformer", tmp_path / "transformer")


def empty(config: EgoTwinConfig = WHOLE) -> EgoTwinTransformer:
    return without_memory(lambda: EgoTwinTransformer(config))


def state(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def test_every_tensor_of_the_real_model_is_used() -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    with torch.device("meta"):
        theirs = diffusers.CogVideoXTransformer3DModel(**I2V).state_dict()
        model = EgoTwinTransformer(EgoTwinConfig.paper())
    ours, new = model.state_dict(), set(model.new_parameter_names())
    assert len(theirs) == 1025
    assert theirs.keys() == ours.keys() - new
    assert {name for name in theirs if theirs[name].shape != ours[name].shape} == {TABLE}
    assert theirs[TABLE].shape == (1, 226 + 13 * 30 * 45, 3072)
    assert crop_positions(theirs[TABLE], COGVIDEOX_GRID, model.config).shape == ours[TABLE].shape


def predictions(model: EgoTwinTransformer, theirs: Any, config: EgoTwinConfig, rotary: Any) -> tuple[Tensor, Tensor]:
    """Our video prediction with some motion at some t_m, and diffusers' of the same video, image and text."""
    c, g = config, torch.Generator().manual_seed(1)
    text = torch.randn(2, c.text_length, c.text_dim, generator=g)
    video = torch.randn(2, c.latent_frames, c.latent_channels, c.latent_height, c.latent_width, generator=g)
    motion = torch.randn(2, c.motion_channels, c.motion_length, generator=g)
    pose, t_video, t_motion = torch.randn(2, c.motion_channels, generator=g), torch.tensor([10, 999]), torch.ones(2)
    image = torch.randn(video[:, 0].shape, generator=g)
    condition = torch.zeros_like(video)
    condition[:, 0] = image
    with torch.no_grad():
        found, _ = model(text, video, motion, t_video, t_motion, image, pose)
        wanted = theirs(torch.cat([video, condition], dim=2), text, t_video, image_rotary_emb=rotary).sample
    assert found is not None
    return found, wanted


def test_loaded_from_shards_it_predicts_what_diffusers_does(cogvideox_folder: Path) -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    theirs = diffusers.CogVideoXTransformer3DModel.from_pretrained(cogvideox_folder, subfolder="transformer").eval()
    model = from_cogvideox(cogvideox_folder, WHOLE)
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    found, wanted = predictions(model, theirs, WHOLE, get_3d_rotary_pos_embed(64, ((0, 0), (4, 6)), (4, 6), 4))
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_smaller_images_are_a_window_into_the_learned_positions(cogvideox_folder: Path) -> None:
    """diffusers has no such model; it is made from one of the smaller size, given rows of its own two tables."""
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    stored = state(cogvideox_folder / "transformer")
    table = stored[TABLE][0, 12:].reshape(4, 4, 6, 128)[:3, :, 1:5].reshape(-1, 128)
    stored[TABLE] = torch.cat([stored[TABLE][0, :12], table])[None]
    settings = json.loads((cogvideox_folder / "transformer" / "config.json").read_text())
    theirs = diffusers.CogVideoXTransformer3DModel.from_config({**settings, "sample_width": 8, "sample_frames": 9})
    theirs.load_state_dict(stored)
    whole = get_3d_rotary_pos_embed(64, ((0, 0), (4, 6)), (4, 6), 4)
    rotary = [part.reshape(4, 4, 6, 64)[:3, :, 1:5].reshape(-1, 64) for part in whole]
    found, wanted = predictions(from_cogvideox(cogvideox_folder, WINDOW), theirs.eval(), WINDOW, rotary)
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_diffusers_refuses_other_sizes_and_forgets_the_table_for_other_lengths(cogvideox_folder: Path) -> None:
    """Why the crop is ours: what the docstring says of diffusers is so."""
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    theirs = diffusers.CogVideoXTransformer3DModel.from_pretrained(cogvideox_folder, subfolder="transformer").eval()
    embed, text = theirs.patch_embed, torch.zeros(1, 12, 48)
    with torch.no_grad():
        with pytest.raises(ValueError, match="different resolution"):
            embed(text, torch.zeros(1, 4, 8, 8, 8))
        whole, shorter = (embed(text, torch.zeros(1, frames, 8, 8, 12)) for frames in (4, 3))
    tokens = 12 + 3 * 4 * 6
    learned = embed.pos_embedding[:, :tokens]
    assert torch.allclose(whole[:, 12:tokens] - embed.proj.bias, learned[:, 12:].float(), atol=1e-6)
    assert not torch.allclose(shorter[:, 12:] - embed.proj.bias, learned[:, 12:].float(), atol=1e-2)


def test_files_index_and_dict_give_the_same_model(copy: Path) -> None:
    stored = state(copy)
    single = copy.parent / "whole.safetensors"
    save_file(stored, single)
    for source in (copy.parent, copy, copy / INDEX, single, stored):
        model = empty()
        assert load_cogvideox(model, source) == []
        found = model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in stored.items())
        assert all(found[name].is_meta for name in model.new_parameter_names())


def test_a_model_with_weights_keeps_its_own_parts_and_dtype(copy: Path) -> None:
    torch.manual_seed(3)
    model = EgoTwinTransformer(WHOLE).bfloat16()
    own = {name: model.state_dict()[name].clone() for name in model.new_parameter_names()}
    assert load_cogvideox(model, copy) == []
    after = model.state_dict()
    assert own
    assert all(torch.equal(after[name], tensor) for name, tensor in own.items())
    assert all(torch.equal(after[name], tensor.bfloat16()) for name, tensor in state(copy).items())


def test_own_parts_start_with_the_values_an_ordinary_building_gives(cogvideox_folder: Path) -> None:
    model, ordinary = from_cogvideox(cogvideox_folder, WHOLE), EgoTwinTransformer(WHOLE)
    for name in model.new_parameter_names():
        found, wanted = model.state_dict()[name], ordinary.state_dict()[name]
        assert (found == 0).all() == (wanted == 0).all(), name
        assert (found == 1).all() == (wanted == 1).all(), name
        if wanted.numel() > 100:
            assert abs(found.std() - wanted.std()) < 0.1 * wanted.std() + 1e-6, name


def test_loading_needs_little_more_memory_than_the_model(tmp_path: Path) -> None:
    """Peak resident memory above the model's own stays far below a shard of its files (Linux only)."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory is read from Linux's /proc")
    config = replace(WHOLE, num_layers=8, num_motion_layers=0, num_heads=12)
    stored = {name: torch.zeros(t.shape, dtype=torch.bfloat16) for name, t in empty(config).state_dict().items()}
    split = split_torch_state_dict_into_shards(stored, max_shard_size=60 * 10**6)
    for name, keys in split.filename_to_tensors.items():
        save_file({key: stored[key] for key in keys}, tmp_path / name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": split.tensor_to_filename}))
    largest = max(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    total = sum(tensor.nbytes for tensor in stored.values())
    assert largest > 48 * 2**20
    script = f"""
import torch
from pathlib import Path
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.pretrained import from_cogvideox, load_cogvideox
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.io import weights
from egotwin_model.io.modules import without_memory

weights.NUMBERS_AT_ONCE = 2**22  # 8 MB here

def kept(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

small, large = {WHOLE!r}, {config!r}
stored = {{k: v for k, v in EgoTwinTransformer(small).state_dict().items()}}
load_cogvideox(without_memory(lambda: EgoTwinTransformer(small)).bfloat16(), stored)  # what torch loads on first use
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = kept("VmRSS")
model = from_cogvideox({str(tmp_path)!r}, large, torch.bfloat16)
print(kept("VmHWM") - before)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak = int(run.stdout)
    assert total <= peak < total + 20 * 2**20, (peak / 2**20, total / 2**20, largest / 2**20)


def change(folder: Path, name: str, edit: Callable[[dict[str, Tensor]], None]) -> None:
    """Rewrite the shard that holds tensor `name`, and the index with it."""
    for file in folder.glob("*.safetensors"):
        tensors = load_file(file)
        if name in tensors:
            edit(tensors)
            save_file(tensors, file)
            index = json.loads((folder / INDEX).read_text())
            kept = {key: place for key, place in index["weight_map"].items() if place != file.name}
            (folder / INDEX).write_text(json.dumps({"weight_map": kept | dict.fromkeys(tensors, file.name)}))
            return
    raise AssertionError(name)


BIAS = "transformer_blocks.1.attn1.to_k.bias"


def set_nan(tensors: dict[str, Tensor]) -> None:
    tensors[BIAS][5] = torch.nan


def settings(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def only_pickle(folder: Path) -> None:
    for file in (*folder.glob("*.safetensors"), folder / INDEX):
        file.unlink()
    (folder / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")  # an empty dictionary, pickled


def truncate(folder: Path) -> None:
    path = folder / SHARD.format(2)
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing shard", lambda f: (f / SHARD.format(2)).unlink(), r"shard .*00002-of-00003\.safetensors is missing"),
    ("truncated shard", truncate, r"00002-of-00003\.safetensors is not a whole safetensors file"),
    ("not as indexed", lambda f: save_file({"x": torch.zeros(1)}, f / SHARD.format(2)), "differs from its index"),
    ("NaN", lambda f: change(f, BIAS, set_nan), rf"{BIAS} holds NaN"),
    ("shape", lambda f: change(f, BIAS, lambda t: t.update({BIAS: torch.zeros(7)})), r"shape \(7,\), wanted \(128,\)"),
    ("missing tensor", lambda f: change(f, BIAS, lambda t: t.pop(BIAS)), rf"lacks 1 of \d+ tensors.*{BIAS}"),
    ("no table", lambda f: change(f, TABLE, lambda t: t.pop(TABLE)), "text-to-video models have no learned position"),
    ("unknown tensor", lambda f: change(f, BIAS, lambda t: t.update(ofs=torch.zeros(1))), r"holds 1 tensors.*'ofs'"),
    ("infinity", lambda f: change(f, BIAS, lambda t: t[BIAS][:1].fill_(-torch.inf)), rf"{BIAS} holds NaN or inf"),
    ("float8", lambda f: change(f, BIAS, lambda t: t.update({BIAS: t[BIAS].to(torch.float8_e4m3fn)})), "float8"),
    ("int8", lambda f: change(f, BIAS, lambda t: t.update({BIAS: t[BIAS].to(torch.int8)})), "torch.int8.*quantised"),
    ("pickle", only_pickle, r"diffusion_pytorch_model\.bin is a pickle"),
    ("other heads", lambda f: settings(f, attention_head_dim=32), "attention_head_dim is 32, wanted 64"),
    ("CogVideoX 1.5", lambda f: settings(f, patch_size_t=2), "patch_size_t is 2, wanted None"),
    ("other grid", lambda f: settings(f, sample_width=90), r"has shape \(1, 108, 128\); wanted \(1, 12 or more"),
    ("index without map", lambda f: (f / INDEX).write_text("{}"), "has no weight_map"),
    ("outside", lambda f: (f / INDEX).write_text('{"weight_map": {"a": "../a.safetensors"}}'), "outside its folder"),
    ("nothing", lambda f: shutil.rmtree(f), "is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), [case[1:] for case in DAMAGES], ids=[case[0] for case in DAMAGES])
def test_unusable_weights_are_refused_by_name(copy: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(copy)
    with pytest.raises(ModelError, match=message):
        load_cogvideox(empty(), copy, strict=True)


def test_reading_in_batches_misses_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egotwin_model.io.weights.NUMBERS_AT_ONCE", 5000)
    stored, found = state(copy), dict(Weights(copy).stream(state(copy).keys()))
    assert found.keys() == stored.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in stored.items())
    assert [name for name, _ in Weights(copy).stream([BIAS])] == [BIAS]


def test_names_without_a_place_are_returned(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    stored = state(copy) | {"ofs_embedding.linear_1.weight": torch.zeros(2, 2)}
    assert load_cogvideox(empty(), stored) == ["ofs_embedding.linear_1.weight"]
    assert "ofs_embedding.linear_1.weight" in caplog.text


@pytest.mark.parametrize("change", [{"latent_frames": 5, "motion_length": 9}, {"position_origin": (0, 3)}])
def test_sizes_outside_the_learned_grid_are_refused_with_both_sizes(copy: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="do not fit inside the 4 × 4 × 6"):
        load_cogvideox(empty(replace(WINDOW, **change)), copy)


def test_a_state_dict_says_its_grid(copy: Path) -> None:
    stored, model = state(copy), empty(WINDOW)
    with pytest.raises(ModelError, match="grid="):
        load_cogvideox(model, stored)
    assert load_cogvideox(model, stored, grid=(4, 4, 6)) == []
    assert torch.equal(model.patch_embed.pos_embedding[0, 12], stored[TABLE][0, 12 + 1])


def test_converted_folder_holds_loadable_components(cogvideox_folder: Path, tmp_path: Path) -> None:
    out = convert_cogvideox(cogvideox_folder, tmp_path / "out", WINDOW, torch.float32)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    transformer = load_transformer(out / "transformer")
    assert transformer.config == WINDOW
    wanted = from_cogvideox(cogvideox_folder, WINDOW).state_dict()
    for name in wanted.keys() - set(transformer.new_parameter_names()):
        assert torch.equal(transformer.state_dict()[name], wanted[name])
    assert load_video_vae(out / "video_vae").config.scaling_factor == 0.7
    assert {"config.json", "spiece.model"} <= {path.name for path in (out / "text_encoder").iterdir()}
    with pytest.raises(ModelError, match="exists already"):
        convert_cogvideox(cogvideox_folder, out, WINDOW)
    with pytest.raises(ModelError, match="has no folder transformer"):
        convert_cogvideox(tmp_path, tmp_path / "other", WINDOW)
    with pytest.raises(ModelError, match="do not fit inside"):
        convert_cogvideox(cogvideox_folder, tmp_path / "other", replace(WINDOW, position_origin=(1, 0)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_converted_folder_with_a_motion_vae_imagines(cogvideox_folder: Path, tmp_path: Path) -> None:
    """The paper's path at narrow width: CogVideoX's transformer, VAE and T5, our motion parts, one pipeline."""
    out = convert_cogvideox(cogvideox_folder, tmp_path / "out", WINDOW, torch.bfloat16)
    save_component(out / "motion_vae", MotionVAE(replace(MotionVAEConfig.smoke(), latent_dim=8)))
    statistics = MotionStatistics(torch.zeros(288), torch.ones(288)).to_tensors()
    save_tensors(out / "statistics.safetensors", {**statistics, "motion_latent.scale": torch.ones(1)})
    mini = json.loads((Path(__file__).parents[3] / "models" / "egotwin-mini" / "model_index.json").read_text())
    write_json(out / "model_index.json", mini | {"text_encoder": "text_encoder", "num_frames": 9, "num_poses": 17})
    write_manifest(out, {"name": "narrow"})
    rotations = np.repeat(np.eye(3)[None], 23, axis=0)
    pose = BodyState(forward_kinematics(np.array([0, 0, 1.0]), rotations, reference_offsets()), rotations)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = []
    for options in ({}, {"dtype": "bfloat16", "offload": True, "text_cache": tmp_path / "texts"}):
        pipeline = EgoTwinPipeline.from_pretrained(out, runtime="torch", **options)
        found.append(pipeline("walk to the door", image, pose, seed=1, num_steps=2))
        assert found[-1].frames.shape == (1, 9, 64, 64, 3)
        assert found[-1].motion.positions.shape == (1, 17, 23, 3)
    assert len(list((tmp_path / "texts").iterdir())) == 2  # the goal and the empty goal
    assert 0 < np.abs(found[0].frames.astype(int) - found[1].frames).mean() < 8
    assert np.abs(found[0].motion.positions - found[1].motion.positions).max() < 0.2


def test_schedule_is_the_folders(cogvideox_folder: Path, tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers", reason=missing_extra("paper"))
    theirs = diffusers.CogVideoXDDIMScheduler.from_pretrained(cogvideox_folder, subfolder="scheduler")
    found = torch.from_numpy(cogvideox_schedule(cogvideox_folder).signal_levels())
    assert (found - theirs.alphas_cumprod.sqrt()).abs().max() < 1e-5
    shutil.copytree(cogvideox_folder / "scheduler", tmp_path / "scheduler")
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace("v_prediction", "epsilon"))
    with pytest.raises(ModelError, match="prediction_type is 'epsilon', wanted 'v_prediction'"):
        cogvideox_schedule(tmp_path)
