"""ONNX graphs of a model's networks, without weights: those are only in the model folder's safetensors files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from tqdm import tqdm

from egotwin_model.errors import ModelError
from egotwin_model.io.store import WEIGHTS
from training.export.model_parts import Networks

OPSET = 18


class _Function(nn.Module):
    """A module whose forward is a given function of another module, so that it can be exported on its own."""

    def __init__(self, model: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self.model, *inputs)


def _graph_list(networks: Networks) -> list[tuple[str, str, Callable[..., Any], dict[str, Tensor]]]:
    """(graph, component, function of the component and its inputs, example inputs), batch 2."""
    assert networks.statistics is not None
    c, dim = networks.transformer.config, networks.statistics.dim
    frames, poses, size = networks.num_frames, networks.num_poses, networks.image_size
    latent = (c.latent_channels, c.latent_height, c.latent_width)
    step = {
        "text": torch.randn(2, c.text_length, c.text_dim),
        "video": torch.randn(2, c.latent_frames, *latent),
        "motion": torch.randn(2, c.motion_channels, c.motion_length),
        "t_video": torch.tensor([3, 700]),
        "t_motion": torch.tensor([999, 0]),
        "image": torch.randn(2, *latent),
        "pose": torch.randn(2, c.motion_channels),
    }
    channels, channels_motion = c.latent_channels, c.motion_channels
    mean, mean_motion = (lambda m, x: m.encoder(x)[:, :channels]), (lambda m, x: m.encoder(x)[:, :channels_motion])
    latents = torch.randn(2, channels, c.latent_frames, *latent[1:])
    motion_latents = torch.randn(2, channels_motion, c.motion_length)
    return [
        ("transformer", "transformer", lambda m, *x: m(*x), step),
        ("transformer_motion", "transformer", lambda m, *x: m(*x, motion_only=True)[1], step),
        ("image_encoder", "video_vae", mean, {"video": torch.randn(2, 3, 1, *size)}),
        ("video_encoder", "video_vae", mean, {"video": torch.randn(2, 3, frames, *size)}),
        ("video_decoder", "video_vae", lambda m, z: m.decoder(z), {"latents": latents}),
        ("pose_encoder", "motion_vae", mean_motion, {"features": torch.randn(2, 1, dim)}),
        ("motion_encoder", "motion_vae", mean_motion, {"features": torch.randn(2, poses, dim)}),
        ("motion_decoder", "motion_vae", lambda m, z: m.decoder(z), {"latents": motion_latents}),
    ]  # fmt: skip


def export_graphs(networks: Networks, folder: Path) -> dict[str, Any]:
    """Write every ONNX graph without its weights; returns which initializer is which tensor of which component."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    components = networks.components()
    for graph, component, function, inputs in tqdm(_graph_list(networks), desc="ONNX graphs"):
        module = _Function(components[component], function).eval()
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.onnx.export(
            module, tuple(inputs.values()), dynamo=True, opset_version=OPSET, input_names=list(inputs),
            dynamic_shapes=(tuple({0: batch} for _ in inputs),), verbose=False, optimize=True,
        )  # fmt: skip
        assert program is not None
        proto = program.model_proto
        listed[graph] = {"component": component, "initializers": _detach(proto, components[component], component)}
        _forget_origin(proto)
        onnx.save(proto, folder / f"{graph}.onnx")
    return listed


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Drop the stack traces that the exporter keeps for every node: most of a graph, and paths of this machine."""
    graph = proto.graph
    for item in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")


def _detach(proto: onnx.ModelProto, module: nn.Module, component: str) -> dict[str, dict[str, Any]]:
    """Empty the initializers that equal a stored weight or its transpose (linear layers become products), and mark them
    external; returns initializer → {"tensor": name, "transposed": …}."""
    sources = {}
    for name, tensor in module.state_dict().items():
        values = tensor.detach().float().numpy()
        if values.ndim == 2:
            sources[values.T.shape, values.T.tobytes()] = {"tensor": name, "transposed": True}
        sources[values.shape, values.tobytes()] = {"tensor": name, "transposed": False}
    found = {}
    for tensor in proto.graph.initializer:
        source = sources.get((tuple(tensor.dims), tensor.raw_data))
        if source is None:
            continue
        found[tensor.name] = source
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value=f"{component}/{WEIGHTS}")
    if not found:
        raise ModelError(f"no weight of {component} is found in its exported graph; the exporter changed them all")
    return found
