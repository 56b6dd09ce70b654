"""The networks as torch modules, on a CPU or a GPU. torch itself is imported when a model is loaded."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from egotwin_model.runtimes.base import Array, Networks, RuntimeEntry, RuntimeOptions, TextNetwork

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TIMESTEPS = (3, 4)  # places of t_video and t_motion in a Denoiser's arguments


def _unavailable(_folder: Path, options: RuntimeOptions) -> str | None:
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed; pip install torch"
    import torch

    try:
        device = torch.device(options.device)
    except RuntimeError:
        return f"device {options.device!r} is none that torch knows; wanted for instance cpu, cuda"
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        return (
            f"device {options.device!r} is not there: torch sees {torch.cuda.device_count()} CUDA devices; use "
            "device='cpu', or install a driver and a torch with CUDA"
        )
    return None


def _load(folder: Path, options: RuntimeOptions, networks: Networks) -> TorchRuntime:
    return TorchRuntime(folder, networks, options)


ENTRY = RuntimeEntry(
    "torch", "PyTorch on a CPU or GPU, in float32, bfloat16 or float16, with offload", _unavailable, _load
)


Method = TypeVar("Method", bound=Callable[..., Any])


def _without_gradients(method: Method) -> Method:
    """`method` in torch's inference mode; torch is imported when it is called."""

    @functools.wraps(method)
    def inferring(*args: Any, **kwargs: Any) -> Any:
        import torch

        with torch.inference_mode():
            return method(*args, **kwargs)

    return inferring  # type: ignore[return-value]


class TorchRuntime:
    """The networks as torch modules. Results are float32, whatever `options` say, and where their input was."""

    name = ENTRY.name

    def __init__(self, folder: Path, networks: Networks, options: RuntimeOptions | None = None) -> None:
        import torch

        from egotwin_model.runtimes.offload import Residence, torch_dtype

        self.options = options or RuntimeOptions()
        if self.options.threads:
            torch.set_num_threads(self.options.threads)
        self.dtype = torch_dtype(self.options.dtype)
        self.residence = Residence(self.options.device, self.options.offload)
        # a model of one modality has one VAE; the pipeline checks that all needed folders are there
        self.networks: dict[str, Any] = {
            name: load(folder / name, self.options) for name, load in networks.items() if (folder / name).is_dir()
        }

    @property
    def description(self) -> str:
        import torch

        device = torch.device(self.options.device)
        place = f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
        parts = [f"{self.name} {torch.__version__}", place, self.options.dtype, f"{torch.get_num_threads()} threads"]
        return ", ".join(parts + ["offload"] * self.options.offload)

    def prepare(self) -> None:
        return  # the networks are loaded

    def text_network(self, name: str, folder: Path) -> TextNetwork | None:
        return None  # transformers runs it under torch, with residence and dtype

    @_without_gradients
    def denoise(
        self, *inputs: Array | None, motion_only: bool, **conditions: Array
    ) -> tuple[Array | None, Array | None]:
        model = self._bring("transformer")
        arguments = [
            # a timestep needs more digits than bfloat16 has: 999 would be 1000
            array if array is None else self._in(array, keep_dtype=place in TIMESTEPS)
            for place, array in enumerate(inputs)
        ]
        given = {name: self._in(array) for name, array in conditions.items()}
        video, motion = model(*arguments, motion_only=motion_only, **given)
        like = next(array for array in inputs if array is not None)
        return (None if video is None else _out(video, like)), (None if motion is None else _out(motion, like))

    @_without_gradients
    def encode_video(self, video: Array) -> Array:
        from egotwin_model.video.vae import encode_video

        return _out(encode_video(self._bring("video_vae"), self._in(video)), video)

    @_without_gradients
    def decode_video(self, latents: Array, prior: Array | None = None, visibility: Array | None = None) -> Array:
        from egotwin_model.video.vae import decode_video

        known = (None if array is None else self._in(array) for array in (prior, visibility))
        return _out(decode_video(self._bring("video_vae"), self._in(latents), *known), latents)

    @_without_gradients
    def encode_motion(self, features: Array) -> Array:
        return _out(self._bring("motion_vae").encode(self._in(features, keep_dtype=True)).mode(), features)

    @_without_gradients
    def decode_motion(self, latents: Array) -> Array:
        return _out(self._bring("motion_vae").decode(self._in(latents, keep_dtype=True)), latents)

    @_without_gradients
    def estimate_depth(self, view: Array, matches: Array) -> Array:
        return _out(self._bring("depth")(self._in(view), self._in(matches)), view)

    def _bring(self, name: str) -> Any:
        return self.residence.bring(self.networks[name])

    def _in(self, array: Array, *, keep_dtype: bool = False) -> Tensor:
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(array)) if isinstance(array, np.ndarray) else array
        return tensor.to(self.options.device, tensor.dtype if keep_dtype else self.dtype)


def _out(tensor: torch.Tensor, like: Array) -> Array:
    tensor = tensor.float()
    return tensor.cpu().numpy() if isinstance(like, np.ndarray) else tensor.to(like.device)
