"""Loads CogVideoX-5b-I2V's weights from disk into the text and video branch, unchanged.

The hub's copy is a diffusers pipeline folder; nothing here downloads it::

    CogVideoX-5b-I2V/
      transformer/    config.json, diffusion_pytorch_model-0000{1,2,3}-of-00003.safetensors and their index
      vae/            config.json, diffusion_pytorch_model.safetensors
      text_encoder/   config.json, model-0000{1,2}-of-00002.safetensors and their index (T5-XXL's encoder)
      tokenizer/      spiece.model, tokenizer_config.json, …
      scheduler/      scheduler_config.json

`convert_cogvideox` writes from it the parts that a model folder and training start from; `from_cogvideox` gives only
the transformer.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egotwin_model.diffusion.sampler import Schedule
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json, whole_folder
from egotwin_model.io.modules import fill, without_memory
from egotwin_model.io.store import CONFIG, save_component
from egotwin_model.io.weights import Weights

log = logging.getLogger(__name__)

TABLE = "patch_embed.pos_embedding"
COGVIDEOX_GRID = (13, 30, 45)  # latent frames, rows and columns of patches of 49 × 480 × 720

Grid = tuple[int, int, int]


def load_cogvideox(
    model: EgoTwinTransformer,
    source: str | Path | Mapping[str, Tensor],
    *,
    grid: Grid | None = None,
    strict: bool = False,
) -> list[str]:
    """Load CogVideoX's transformer into the text and video branch, by diffusers' names, one tensor at a time.

    The learned position table is cropped to the model's grid (`crop_positions`); every other tensor goes in as it is.
    Parameters on the meta device get memory on the CPU. What is the model's own (`new_parameter_names`) is not touched.

    Args:
        model: on the CPU or the meta device; its dtypes stay.
        source: a pipeline folder, its ``transformer`` folder, one safetensors file, an index, or a state dict.
        grid: latent frames, rows and columns the stored position table covers. Read from the ``config.json`` beside
            the weights; without one, CogVideoX-5b-I2V's 13 × 30 × 45, or the model's own where the table is as long.
        strict: refuse tensors that have no place instead of naming them.

    Returns:
        The stored names that have no place in the model; empty for CogVideoX-5b-I2V.

    Raises:
        ModelError: a shard missing or truncated, a pickle, another model's settings, a tensor missing, of another
            shape, quantised, or with NaN; with `strict`, unknown tensors.
    """
    if not isinstance(source, Mapping):
        source = _transformer_folder(Path(source))
        grid = grid or _check_settings(model.config, source)
    weights = Weights(source)
    expected = model.state_dict().keys() - set(model.new_parameter_names())
    missing, unknown = sorted(expected - weights.shapes.keys()), sorted(weights.shapes.keys() - expected)
    if missing:
        hint = "; text-to-video models have no learned position table" if missing == [TABLE] else ""
        raise ModelError(
            f"{weights.where} lacks {len(missing)} of {len(expected)} tensors, for instance {missing[:5]}; wanted "
            f"CogVideoX-5b-I2V's transformer{hint}"
        )
    if unknown and strict:
        raise ModelError(
            f"{weights.where} holds {len(unknown)} tensors that have no place here, for instance {unknown[:5]}; wanted "
            f"the {len(expected)} of CogVideoX-5b-I2V's transformer"
        )
    stored = grid or _guessed_grid(model.config, weights)
    _check_crop(model.config, weights, stored)
    fill(model, weights, expected, {TABLE: lambda table: crop_positions(table, stored, model.config)})
    if unknown:
        log.warning("%s: no place for %d tensors, for instance %s", weights.where, len(unknown), unknown[:5])
    return unknown


def crop_positions(table: Tensor, grid: Grid, config: EgoTwinConfig) -> Tensor:
    """The part of a position table (1, text + F·R·C, width) over `grid` that a smaller model's tokens use.

    **Our decision**, since neither the paper nor CogVideoX says: a model of smaller images is a window into the
    pretrained one. In time the window starts with the first frame, whose latent holds one frame while the others
    hold four: its rows of the table mean "the given image". In space it starts at `config.position_origin`: for
    480 × 480 in 480 × 720, all 30 rows and columns 8 to 37, the middle, because a learned table may hold what is
    special at the borders, and a square cut from the middle of an image has none at its sides. diffusers centres RoPE
    in the same way for sizes the model was not trained on; ours counts from the same origin, so both codes agree.

    No interpolation: every row of the result is a row of the table. diffusers itself refuses other heights and widths
    with a learned table, and for another number of frames replaces the table by plain sinusoids.
    """
    text = table.shape[1] - math.prod(grid)
    (row, column), (rows, columns) = config.position_origin, config.patch_grid
    video = table[0, text:].unflatten(0, grid)
    window = video[: config.latent_frames, row : row + rows, column : column + columns]
    return torch.cat([table[0, : config.text_length], window.flatten(0, 2)])[None]


def from_cogvideox(
    folder: str | Path, config: EgoTwinConfig | None = None, dtype: torch.dtype = torch.float32
) -> EgoTwinTransformer:
    """An EgoTwin transformer that starts from CogVideoX-5b-I2V on disk; its own parts have their initial values.

    Right after this, the video prediction is CogVideoX's. Needs the memory of the result once: nothing is initialised
    only to be overwritten.

    Args:
        folder: the pipeline folder or its ``transformer`` folder.
        config: default `EgoTwinConfig.paper()`.
        dtype: of all parameters; CogVideoX is stored in bfloat16.
    """
    wanted = config or EgoTwinConfig.paper()
    model = without_memory(lambda: EgoTwinTransformer(wanted), EgoTwinTransformer.new_parameter_names).to(dtype)
    load_cogvideox(model, folder, strict=True)
    return model.eval()


def cogvideox_schedule(folder: str | Path) -> Schedule:
    """The noise schedule of a pipeline folder's ``scheduler/scheduler_config.json``.

    Raises:
        ModelError: it is not the v-prediction schedule with zero terminal SNR that this sampler implements.
    """
    path = Path(folder) / "scheduler" / "scheduler_config.json"
    values: dict[str, Any] = read_json(path)
    wanted = {
        "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
    }  # fmt: skip
    _compare(path, values, wanted)
    return Schedule(
        beta_start=values["beta_start"],
        beta_end=values["beta_end"],
        snr_shift_scale=values.get("snr_shift_scale", 3.0),  # diffusers' default
    )


def convert_cogvideox(
    folder: str | Path, out: str | Path, config: EgoTwinConfig | None = None, dtype: torch.dtype = torch.bfloat16
) -> Path:
    """Write what of a model folder CogVideoX-5b-I2V gives: ``transformer/``, ``video_vae/`` and ``text_encoder/``.

    ``motion_vae/`` and ``statistics.safetensors`` come from stage 1. The VAE's and the text encoder's files are linked
    where the file system can (12 GB less), and copied where not. `out` appears when it is complete.

    Raises:
        ModelError: `out` exists, or as `load_cogvideox`.
    """
    source, target = Path(folder), Path(out)
    if target.exists():
        raise ModelError(f"{target} exists already; give the path of a new folder")
    for part in ("transformer", "vae", "text_encoder", "tokenizer"):
        if not (source / part).is_dir():
            raise ModelError(f"{source} has no folder {part}; wanted a diffusers pipeline folder of CogVideoX-5b-I2V")
    with whole_folder(target) as temporary:
        save_component(temporary / "transformer", from_cogvideox(source, config, dtype), dtype)
        for part, place in (("vae", "video_vae"), ("text_encoder", "text_encoder"), ("tokenizer", "text_encoder")):
            shutil.copytree(source / part, temporary / place, copy_function=link_or_copy, dirs_exist_ok=True)
    return target


def link_or_copy(source: str, target: str) -> None:
    """`target` becomes the file `source`, without its own copy of the bytes where the file system can."""
    try:
        os.link(os.path.realpath(source), target)  # the hub's cache holds symbolic links to its blobs
    except OSError:
        shutil.copyfile(source, target)


def _transformer_folder(path: Path) -> Path:
    return path / "transformer" if (path / "transformer").is_dir() else path


def _check_settings(config: EgoTwinConfig, source: Path) -> Grid | None:
    """The stored grid, from the ``config.json`` beside the weights, after its settings were compared with ours."""
    path = (source if source.is_dir() else source.parent) / CONFIG
    if not path.is_file():
        return None
    values: dict[str, Any] = read_json(path)
    wanted = {
        "num_attention_heads": config.num_heads, "attention_head_dim": config.head_dim,
        "time_embed_dim": config.time_embed_dim, "text_embed_dim": config.text_dim, "patch_size": config.patch_size,
        "patch_size_t": None, "ofs_embed_dim": None, "in_channels": 2 * config.latent_channels,
        "out_channels": config.latent_channels, "use_rotary_positional_embeddings": True, "flip_sin_to_cos": True,
        "freq_shift": 0, "norm_eps": 1e-5, "activation_fn": "gelu-approximate", "timestep_activation_fn": "silu",
    }  # fmt: skip
    _compare(path, values, {name: value for name, value in wanted.items() if name in values})
    sizes = [values.get(name) for name in ("sample_frames", "sample_height", "sample_width")]
    if None in sizes:
        return None
    frames, height, width = map(int, sizes)  # type: ignore[arg-type]
    ratio, patch = int(values.get("temporal_compression_ratio", 4)), config.patch_size
    return (frames - 1) // ratio + 1, height // patch, width // patch


def _compare(path: Path, values: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        if values.get(name) != value:
            raise ModelError(f"{path}: {name} is {values.get(name)!r}, wanted {value!r}; is this CogVideoX-5b-I2V?")


def _guessed_grid(config: EgoTwinConfig, weights: Weights) -> Grid:
    rows = weights.shapes[TABLE][1]
    if rows == config.text_length + config.video_length:
        return config.latent_frames, *config.patch_grid
    return COGVIDEOX_GRID


def _check_crop(config: EgoTwinConfig, weights: Weights, grid: Grid) -> None:
    shape, window = weights.shapes[TABLE], (config.latent_frames, *config.patch_grid)
    text = shape[1] - math.prod(grid) if len(shape) == 3 else -1
    if shape[0] != 1 or text < config.text_length or shape[2] != config.width:
        raise ModelError(
            f"{weights.where}: tensor {TABLE} has shape {tuple(shape)}; wanted (1, {config.text_length} or more text "
            f"tokens + {' · '.join(map(str, grid))}, {config.width}). Say with grid= how many latent frames, rows and "
            "columns of patches it covers"
        )
    origin = (0, *config.position_origin)
    if any(start + size > whole for start, size, whole in zip(origin, window, grid, strict=True)):
        raise ModelError(
            f"the model's {window[0]} × {window[1]} × {window[2]} frames, rows and columns of patches from row and "
            f"column {config.position_origin} do not fit inside the {grid[0]} × {grid[1]} × {grid[2]} that "
            f"{weights.where} has learned positions for; choose smaller images or another position_origin"
        )
