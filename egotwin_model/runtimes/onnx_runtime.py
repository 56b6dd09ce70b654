"""ONNX Runtime on the CPU.

ONNX graphs hold no weights of their own: their initializers are filled from the folder's safetensors files when a
session is made, so every runtime computes with the same, once-stored, checksummed numbers.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egotwin_model.errors import ModelError
from egotwin_model.io.files import read_json
from egotwin_model.io.store import component_config
from egotwin_model.io.weights import WEIGHTS, read_arrays
from egotwin_model.runtimes.base import Array, Networks, RuntimeEntry, RuntimeOptions, TextNetwork, of_kind, to_numpy

GRAPHS = "onnx/graphs.json"
TEXT_GRAPH = "text_encoder"
TEXT_WEIGHTS = "model.safetensors"  # of a text encoder's folder, by Hugging Face's name
EVERY_TIME = ("transformer", "transformer_motion", "image_encoder", "pose_encoder", "video_decoder", "motion_decoder")

REQUIRED = "gravity"  # the condition beyond the paper that a model cannot go without

Numbers = NDArray[Any]


def _unavailable(folder: Path, options: RuntimeOptions) -> str | None:
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed; pip install onnxruntime"
    if (options.device, options.dtype, options.offload, options.tiling) != ("cpu", "float32", False, False):
        return (
            f"it computes on the CPU in float32, without offload or tiling; device {options.device!r}, dtype "
            f"{options.dtype!r}, offload {options.offload}, tiling {options.tiling} needs runtime='torch' or 'auto'"
        )
    if not (folder / GRAPHS).is_file():
        return f"the folder has no {GRAPHS}; export the model with graphs"
    return None


def _load(folder: Path, options: RuntimeOptions, _networks: Networks) -> OnnxRuntime:
    return OnnxRuntime(folder, options)


ENTRY = RuntimeEntry("onnxruntime", "ONNX Runtime on the CPU in float32, without torch", _unavailable, _load)


class OnnxRuntime:
    """The networks as ONNX Runtime sessions, made when first used."""

    name = ENTRY.name

    def __init__(self, folder: Path, options: RuntimeOptions | None = None) -> None:
        self.folder = folder
        self.options = options or RuntimeOptions()
        self.graphs: dict[str, dict[str, Any]] = read_json(folder / GRAPHS)
        video = folder / "video_vae"
        self.video_scale = float(component_config(video).get("scaling_factor", 1.0)) if video.is_dir() else 1.0
        self._sessions: dict[str, Any] = {}
        self._weights: dict[str, dict[str, Numbers]] = {}

    @property
    def description(self) -> str:
        import onnxruntime

        return f"{self.name} {onnxruntime.__version__}, cpu, float32, {self.options.cpu_threads} threads"

    def prepare(self) -> None:
        for graph in EVERY_TIME:
            self._session(graph)
        if any(node.name == "prior" for node in self._session("transformer").get_inputs()):
            self._session("video_encoder")  # of the prior
        if "depth" in self.graphs:
            self._session("depth")

    def text_network(self, name: str, folder: Path) -> TextNetwork | None:
        entry = self.graphs.get(TEXT_GRAPH)
        if entry is None or entry["component"] != name:
            return None  # exported before text encoders were, or too large
        session = self._open(TEXT_GRAPH, read_arrays(folder / TEXT_WEIGHTS))
        return lambda ids, mask: session.run(None, {"ids": ids, "mask": mask})[0]

    def denoise(
        self, *inputs: Array | None, motion_only: bool, **conditions: Array
    ) -> tuple[Array | None, Array | None]:
        given = [array for array in inputs if array is not None]
        graph = "transformer_motion" if motion_only else "transformer"
        taken = self._session(graph).get_inputs()[len(inputs) :]
        unknown = conditions.keys() - {node.name for node in taken}
        if unknown or len(given) < len(inputs) or given[3].ndim > 1 or given[4].ndim > 1:
            raise ModelError(
                "the ONNX graphs take both modalities, one timestep for each clip and as further conditions "
                f"{', '.join(node.name for node in taken) or 'none'}; models of one modality, with other conditions or "
                "timesteps per token run with runtime='torch'"
            )
        if any(node.name == REQUIRED for node in taken) and REQUIRED not in conditions:
            raise ModelError(f"motion latents need their condition: pass {REQUIRED} too")
        # what else is not given is not known, and zeros say so
        known = (conditions.get(node.name, _zeros(len(given[0]), node)) for node in taken)
        outputs = self._run(graph, *given, *known)
        return (None, outputs[0]) if motion_only else (outputs[0], outputs[1])

    def encode_video(self, video: Array) -> Array:
        if video.shape[2] == 1:
            return self._run("image_encoder", video)[0] * self.video_scale
        return self._run_causal("video_encoder", video, axis=2) * self.video_scale

    def decode_video(self, latents: Array, prior: Array | None = None, visibility: Array | None = None) -> Array:
        known: tuple[Array, ...] = () if prior is None or visibility is None else (prior, visibility)
        _, *taken = self._session("video_decoder").get_inputs()
        if known and not taken:
            raise ModelError("this model's video decoder takes no prior (prior_condition is false); decode without one")
        if taken and not known:
            known = tuple(_zeros(len(latents), node) for node in taken)
        for array, node in zip(known, taken, strict=True):
            if list(array.shape[1:]) != node.shape[1:]:
                raise ModelError(f"{node.name} has shape {list(array.shape)}; wanted {['B', *node.shape[1:]]}")
        return self._run("video_decoder", latents / self.video_scale, *known)[0]

    def encode_motion(self, features: Array) -> Array:
        if features.shape[1] == 1:
            return self._run("pose_encoder", features)[0]
        return self._run_causal("motion_encoder", features, axis=1)

    def decode_motion(self, latents: Array) -> Array:
        return self._run("motion_decoder", latents)[0]

    def estimate_depth(self, view: Array, matches: Array) -> Array:
        return self._run("depth", view, matches)[0]

    def _run_causal(self, graph: str, x: Array, axis: int) -> Array:
        """An encoder's latents of the first 1 + 4k steps of a clip along `axis`.

        The graph takes whole clips: the rest is filled with the last step, which a causal encoder's first latents do
        not see.
        """
        steps, numbers = x.shape[axis], to_numpy(x)
        missing = self._session(graph).get_inputs()[0].shape[axis] - steps
        padding = [(0, missing if dimension == axis else 0) for dimension in range(numbers.ndim)]
        latents = self._run(graph, np.pad(numbers, padding, mode="edge"))[0]
        return of_kind(latents[:, :, : (steps - 1) // 4 + 1], x)

    def _run(self, graph: str, *inputs: Array) -> list[Array]:
        session = self._session(graph)
        names = [node.name for node in session.get_inputs()]
        feed = {name: np.ascontiguousarray(to_numpy(array)) for name, array in zip(names, inputs, strict=True)}
        return [of_kind(output, inputs[0]) for output in session.run(None, feed)]

    def _session(self, graph: str) -> Any:
        if graph not in self._sessions:
            self._sessions[graph] = self._make_session(graph)
        return self._sessions[graph]

    def _make_session(self, graph: str) -> Any:
        if graph not in self.graphs:
            raise ModelError(f"{self.folder / GRAPHS} lists no graph {graph!r}; export the model again")
        component = self.graphs[graph]["component"]
        if component not in self._weights:
            self._weights[component] = read_arrays(self.folder / component / WEIGHTS)
        return self._open(graph, self._weights[component])

    def _open(self, graph: str, weights: dict[str, Numbers]) -> Any:
        """A session of the graph with its initializers filled from `weights`."""
        import onnxruntime

        path, sources = self.folder / "onnx" / f"{graph}.onnx", self.graphs[graph]["initializers"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.options.cpu_threads
        if missing := {source["tensor"] for source in sources.values()} - weights.keys():
            raise ModelError(f"{path} needs weights that its component lacks: {sorted(missing)[:5]}; export it again")
        values = [_value(weights[source["tensor"]], source["transposed"]) for source in sources.values()]
        options.add_external_initializers(list(sources), values)
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise ModelError(f"{path} cannot be run: {error}") from error


def _zeros(batch: int, node: Any) -> Numbers:
    """Zeros for an input of a session."""
    return np.zeros((batch, *node.shape[1:]), np.float32)


def _value(weight: Numbers, transposed: bool) -> Any:
    """A stored weight as float32 for ONNX Runtime."""
    import onnxruntime

    array = np.ascontiguousarray(weight.T if transposed else weight, dtype=np.float32)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
