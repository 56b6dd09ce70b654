"""One interface over the runtimes that can run a model folder's networks: torch and ONNX Runtime.

ONNX graphs hold no weights of their own: their initializers are filled from the folder's safetensors files when a
session is made, so every runtime computes with the same, once-stored, checksummed numbers.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from egotwin_model.diffusion.sampler import Denoiser
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json
from egotwin_model.io.store import WEIGHTS, component_config, load_component, load_tensors
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig
from egotwin_model.runtimes.offload import Residence, RuntimeOptions
from egotwin_model.video.vae import decode_video, encode_video, load_video_vae

RUNTIMES = ("torch", "onnxruntime")
EVERY_TIME = ("transformer", "transformer_motion", "image_encoder", "pose_encoder", "video_decoder", "motion_decoder")
TIMESTEPS = (3, 4)  # places of t_video and t_motion in a Denoiser's arguments
GRAPHS = "onnx/graphs.json"


class Runtime(Protocol):
    """The networks of a model folder as functions on tensors; shapes without the batch are the configuration's."""

    @property
    def denoise(self) -> Denoiser:
        """One evaluation of the transformer."""
        ...

    def prepare(self) -> None:
        """Make ready what one imagination needs: the first one then takes no longer than those after it."""
        ...

    def encode_video(self, video: Tensor) -> Tensor:
        """(B, 3, F, H, W) in [−1, 1], the first F = 1 + 4k frames of a clip, to latent means (B, C, 1 + k, h, w)."""
        ...

    def decode_video(self, latents: Tensor) -> Tensor:
        """(B, C, F', h, w) to (B, 3, F, H, W)."""
        ...

    def encode_motion(self, features: Tensor) -> Tensor:
        """Standardised features (B, T, D), the first T = 1 + 4k poses of a clip, to latent means (B, C_m, 1 + k)."""
        ...

    def decode_motion(self, latents: Tensor) -> Tensor:
        """(B, C_m, T') to standardised features (B, T, D)."""
        ...


def load_runtime(folder: Path, name: str = "auto", options: RuntimeOptions | None = None) -> Runtime:
    """The networks in `folder` under the named runtime.

    "auto" takes ONNX Runtime where it and the graphs are there and `options` ask for nothing that only torch can do.
    """
    options = options or RuntimeOptions()
    if name == "auto":
        has_onnx = importlib.util.find_spec("onnxruntime") is not None and (folder / GRAPHS).is_file()
        name = "onnxruntime" if has_onnx and options.is_default else "torch"
    if name == "torch":
        return TorchRuntime(folder, options)
    if name == "onnxruntime":
        if not options.is_default:
            raise ModelError(
                f"runtime 'onnxruntime' computes on the CPU in float32; {options} needs runtime='torch' or 'auto'"
            )
        return OnnxRuntime(folder)
    raise ModelError(f"runtime {name!r} is not one of auto, {', '.join(RUNTIMES)}")


def load_transformer(folder: Path, dtype: torch.dtype = torch.float32) -> EgoTwinTransformer:
    """The transformer of a component folder, on the CPU, in eval mode."""
    return load_component(folder, EgoTwinTransformer, EgoTwinConfig, dtype)


def load_motion_vae(folder: Path) -> MotionVAE:
    """The motion VAE of a component folder, float32, in eval mode."""
    return load_component(folder, MotionVAE, MotionVAEConfig)


class TorchRuntime:
    """The networks as torch modules. Tensors come and go as float32 on the caller's device, whatever `options` say."""

    def __init__(self, folder: Path, options: RuntimeOptions | None = None) -> None:
        self.options = options or RuntimeOptions()
        self.residence = Residence(self.options.device, self.options.offload)
        dtype = self.options.torch_dtype
        self.transformer = load_transformer(folder / "transformer", dtype)
        # a model of one modality has no other VAE; the pipeline sees to it that what is needed is there
        if (folder / "motion_vae").is_dir():
            self.motion_vae = load_motion_vae(folder / "motion_vae")
        if (folder / "video_vae").is_dir():
            self.video_vae: nn.Module = load_video_vae(folder / "video_vae", dtype, tiling=self.options.tiling)

    def prepare(self) -> None:
        return  # the networks are loaded

    def denoise(
        self, *tensors: Tensor | None, motion_only: bool, **conditions: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        model = self.residence.bring(self.transformer)
        inputs = [
            # a timestep needs more digits than bfloat16 has: 999 would be 1000
            tensor if tensor is None else tensor.to(self.options.device) if place in TIMESTEPS else self._in(tensor)
            for place, tensor in enumerate(tensors)
        ]
        given = {name: self._in(tensor) for name, tensor in conditions.items()}
        video, motion = model(*inputs, motion_only=motion_only, **given)
        like = next(tensor for tensor in tensors if tensor is not None)
        return (None if video is None else _out(video, like)), (None if motion is None else _out(motion, like))

    def encode_video(self, video: Tensor) -> Tensor:
        return _out(encode_video(self.residence.bring(self.video_vae), self._in(video)), video)

    def decode_video(self, latents: Tensor) -> Tensor:
        return _out(decode_video(self.residence.bring(self.video_vae), self._in(latents)), latents)

    def encode_motion(self, features: Tensor) -> Tensor:
        vae = self.residence.bring(self.motion_vae)
        return _out(vae.encode(features.to(self.options.device)).mode(), features)

    def decode_motion(self, latents: Tensor) -> Tensor:
        return _out(self.residence.bring(self.motion_vae).decode(latents.to(self.options.device)), latents)

    def _in(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.options.device, self.options.torch_dtype)


def _out(tensor: Tensor, like: Tensor) -> Tensor:
    return tensor.to(like.device, torch.float32)


class OnnxRuntime:
    """The networks as ONNX Runtime sessions on the CPU, made when first used."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.folder = folder
        self.threads = threads or os.cpu_count() or 1
        self.graphs: dict[str, dict[str, Any]] = read_json(folder / GRAPHS)
        video = folder / "video_vae"
        self.video_scale = float(component_config(video).get("scaling_factor", 1.0)) if video.is_dir() else 1.0
        self._sessions: dict[str, Any] = {}
        self._weights: dict[str, dict[str, Tensor]] = {}

    def prepare(self) -> None:
        for graph in EVERY_TIME:
            if graph not in self._sessions:
                self._make_session(graph)

    def denoise(
        self, *tensors: Tensor | None, motion_only: bool, **conditions: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        given = [tensor for tensor in tensors if tensor is not None]
        if conditions or len(given) < len(tensors) or given[3].ndim > 1 or given[4].ndim > 1:
            raise ModelError(
                "the ONNX graphs take both modalities, one image and one timestep for each clip; models of one "
                "modality, with other conditions or timesteps per token run with runtime='torch'"
            )
        if motion_only:
            return None, self._run("transformer_motion", *given)[0]
        video, motion = self._run("transformer", *given)
        return video, motion

    def encode_video(self, video: Tensor) -> Tensor:
        if video.shape[2] == 1:
            return self._run("image_encoder", video)[0] * self.video_scale
        return self._run_causal("video_encoder", video, axis=2) * self.video_scale

    def decode_video(self, latents: Tensor) -> Tensor:
        return self._run("video_decoder", latents / self.video_scale)[0]

    def encode_motion(self, features: Tensor) -> Tensor:
        if features.shape[1] == 1:
            return self._run("pose_encoder", features)[0]
        return self._run_causal("motion_encoder", features, axis=1)

    def decode_motion(self, latents: Tensor) -> Tensor:
        return self._run("motion_decoder", latents)[0]

    def _run_causal(self, graph: str, x: Tensor, axis: int) -> Tensor:
        """An encoder's latents of the first 1 + 4k steps of a clip along `axis`.

        The graph takes whole clips: the rest is filled with the last step, which a causal encoder's first latents do
        not see.
        """
        length = (self._sessions.get(graph) or self._make_session(graph)).get_inputs()[0].shape[axis]
        steps, last = x.shape[axis], x.narrow(axis, x.shape[axis] - 1, 1)
        whole = torch.cat([x, last.repeat_interleave(length - steps, dim=axis)], dim=axis)
        return self._run(graph, whole)[0].narrow(2, 0, (steps - 1) // 4 + 1)

    def _run(self, graph: str, *tensors: Tensor) -> list[Tensor]:
        session = self._sessions.get(graph) or self._make_session(graph)
        names = [node.name for node in session.get_inputs()]
        feed = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in zip(names, tensors, strict=True)}
        return [torch.from_numpy(array) for array in session.run(None, feed)]

    def _make_session(self, graph: str) -> Any:
        import onnxruntime

        if graph not in self.graphs:
            raise ModelError(f"{self.folder / GRAPHS} lists no graph {graph!r}; export the model again")
        entry = self.graphs[graph]
        weights = self._component(entry["component"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        values = [_value(weights[source["tensor"]], source["transposed"]) for source in entry["initializers"].values()]
        options.add_external_initializers(list(entry["initializers"]), values)
        path = self.folder / "onnx" / f"{graph}.onnx"
        try:
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise ModelError(f"{path} cannot be run: {error}") from error
        self._sessions[graph] = session
        return session

    def _component(self, name: str) -> dict[str, Tensor]:
        if name not in self._weights:
            self._weights[name] = load_tensors(self.folder / name / WEIGHTS)
        return self._weights[name]


def _value(tensor: Tensor, transposed: bool) -> Any:
    """A stored weight as float32 for ONNX Runtime."""
    import onnxruntime

    array = (tensor.T if transposed else tensor).float().contiguous().numpy()
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
