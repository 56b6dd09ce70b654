"""ONNX graphs of a model's networks, without weights: those are only in the model folder's safetensors files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from tqdm import tqdm

from egotwin_model.depth.network_inputs import VIEW_CHANNELS
from egotwin_model.depth.sizes import CELL, DepthConfig
from egotwin_model.egotwin.config import DEPTH_CHANNELS, EgoTwinConfig
from egotwin_model.errors import ModelError
from egotwin_model.io.store import WEIGHTS
from egotwin_model.runtimes.onnx_runtime import TEXT_GRAPH, TEXT_WEIGHTS
from egotwin_model.text.encoders import TextEncoder
from training.export.model_parts import Networks
from training.stages.recipes import TEXT_PACKAGE

OPSET = 18


class _Function(nn.Module):
    """A module whose forward is a given function of another module, so that it can be exported on its own."""

    def __init__(self, model: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self.model, *inputs)


Graph = tuple[str, str, Callable[..., Any], dict[str, Tensor]]
"""Its name, component, a function of the component and its inputs, and example inputs, batch 2."""


def _graph_list(networks: Networks) -> list[Graph]:
    assert networks.statistics is not None
    c, dim = networks.transformer.config, networks.statistics.dim
    frames, poses, size = networks.num_frames, networks.num_poses, networks.image_size
    latent = (c.latent_channels, c.latent_height, c.latent_width)
    channels, channels_motion = c.latent_channels, c.motion_channels
    mean, mean_motion = (lambda m, x: m.encoder(x)[:, :channels]), (lambda m, x: m.encoder(x)[:, :channels_motion])
    latents = torch.randn(2, channels, c.latent_frames, *latent[1:])
    prior = {"prior": torch.randn(2, 3, frames, *size), "visibility": torch.rand(2, 1, frames, *size)}
    if networks.video_vae is None or not networks.video_vae.config.prior_condition:
        prior = {}
    motion_latents = torch.randn(2, channels_motion, c.motion_length)
    graphs = [
        *transformer_graphs(c),
        ("image_encoder", "video_vae", mean, {"video": torch.randn(2, 3, 1, *size)}),
        ("video_encoder", "video_vae", mean, {"video": torch.randn(2, 3, frames, *size)}),
        ("video_decoder", "video_vae", lambda m, *x: m.decoder(*x), {"latents": latents, **prior}),
        ("pose_encoder", "motion_vae", mean_motion, {"features": torch.randn(2, 1, dim)}),
        ("motion_encoder", "motion_vae", mean_motion, {"features": torch.randn(2, poses, dim)}),
        ("motion_decoder", "motion_vae", lambda m, z: m.decoder(z), {"latents": motion_latents}),
    ]  # fmt: skip
    if networks.depth is not None:
        graphs.append(("depth", "depth", lambda m, *x: m(*x), depth_inputs(networks.depth.config)))
    return graphs


def transformer_graphs(c: EgoTwinConfig) -> list[Graph]:
    """The whole transformer, and the half that serves motion alone."""
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
    known, count = geometry_inputs(c), len(step)

    def evaluate(model: nn.Module, *x: Tensor, motion_only: bool = False) -> Any:
        return model(*x[:count], motion_only=motion_only, **dict(zip(known, x[count:], strict=True)))

    def evaluate_motion(model: nn.Module, *x: Tensor) -> Tensor:
        return evaluate(model, *x, motion_only=True)[1]

    inputs = {**step, **known}
    return [
        ("transformer", "transformer", evaluate, inputs),
        ("transformer_motion", "transformer", evaluate_motion, inputs),
    ]


def geometry_inputs(c: EgoTwinConfig) -> dict[str, Tensor]:
    """Example inputs of a transformer's conditions beyond the paper, batch 2; graphs always take those it has."""
    clip, size = (2, c.latent_frames), (c.latent_height, c.latent_width)
    inputs: dict[str, Tensor] = {}
    if c.prior_condition:
        inputs |= {"prior": torch.randn(*clip, c.latent_channels, *size), "visibility": torch.rand(*clip, 1, *size)}
    if c.gravity_condition:
        inputs["gravity"] = torch.randn(2, 3)
    if c.depth_condition:
        inputs["depth"] = torch.rand(2, DEPTH_CHANNELS, *size)
    return inputs


def depth_inputs(config: DepthConfig) -> dict[str, Tensor]:
    """Example inputs of a depth network, batch 2; the exporter itself names a value "view"."""
    cells = config.size // CELL
    return {
        "view_channels": torch.rand(2, len(VIEW_CHANNELS), config.size, config.size),
        "matches": torch.rand(2, config.planes + 1, cells, cells),
    }


def export_graphs(networks: Networks, folder: Path) -> dict[str, Any]:
    """Write every ONNX graph without its weights; returns which initializer is which tensor of which component."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    components = networks.components()
    for graph, component, function, inputs in tqdm(_graph_list(networks), desc="ONNX graphs"):
        weights = f"{component}/{WEIGHTS}"
        listed[graph] = export_graph(folder / f"{graph}.onnx", components[component], weights, function, inputs)
    listed[TEXT_GRAPH] = export_text_encoder(folder, networks.transformer.config.text_length)
    return listed


def export_text_encoder(folder: Path, length: int) -> dict[str, Any]:
    """Write the graph of the text encoder's package, for texts of `length` tokens; returns its entry of the list."""
    model = TextEncoder.from_package(TEXT_PACKAGE, length).model
    ids = torch.randint(1000, 2000, (2, length))
    mask = (torch.arange(length) < torch.tensor([[length], [length // 2]])).long()
    inputs = {"ids": ids, "mask": mask}
    return export_graph(folder / f"{TEXT_GRAPH}.onnx", model, f"{TEXT_PACKAGE}/{TEXT_WEIGHTS}", _text_states, inputs)


def _text_states(model: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    return model(input_ids=ids, attention_mask=mask).last_hidden_state


def export_graph(
    path: Path, module: nn.Module, weights: str, function: Callable[..., Any], inputs: dict[str, Tensor]
) -> dict[str, Any]:
    """Write one graph with its weights in `weights`, "component/file"; returns the graph's entry of the list."""
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        _Function(module, function).eval(), tuple(inputs.values()), dynamo=True, opset_version=OPSET,
        input_names=list(inputs), dynamic_shapes=(tuple({0: batch} for _ in inputs),), verbose=False, optimize=True,
    )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    entry = {"component": weights.split("/")[0], "initializers": _detach(proto, module, weights)}
    _forget_origin(proto)
    onnx.save(proto, path)
    return entry


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Drop the stack traces that the exporter keeps for every node: most of a graph, and paths of this machine."""
    graph = proto.graph
    for item in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")


def _detach(proto: onnx.ModelProto, module: nn.Module, weights: str) -> dict[str, dict[str, Any]]:
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
        tensor.external_data.add(key="location", value=weights)
    if not found:
        raise ModelError(f"no weight of {weights} is found in its exported graph; the exporter changed them all")
    return found
