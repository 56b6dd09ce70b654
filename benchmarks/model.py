"""What the transformer costs: parameters, operations, memory, time beside diffusers' CogVideoX, attention backends.

Counts are at the paper's size, on the meta device, where nothing is computed. Times are at the paper's size on a GPU
(bfloat16, random weights) and, on a CPU, with the paper's tokens at reduced width and depth. Both models get the same
tokens and the same text and video weights in the same run, in turns; a line says how far their videos differ.

    python -m benchmarks.model                            # two minutes on two idle cores
    python -m benchmarks.model --device cuda --compile    # paper size on a GPU
    python -m benchmarks.model --clock cpu                # a busy machine: processor time instead of wall time
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cogvideox import cogvideox, inputs, run_cogvideox, without_motion
from benchmarks.model_size import count, table
from egotwin_model.diffusion.attention.attend import Layout, attend, choose
from egotwin_model.diffusion.attention.merge import kernel_name
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.flops import evaluation_flops
from egotwin_model.egotwin.pretrained import load_cogvideox
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.io.files import write_json

Clock = Callable[[], float]


def seconds(call: Callable[[], object], clock: Clock, device: str) -> float:
    """Time of one call."""
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
    synchronise()
    start = clock()
    call()
    synchronise()
    return clock() - start


def best(calls: dict[str, Callable[[], object]], rounds: int, clock: Clock, device: str) -> dict[str, float]:
    """Each call's best time over `rounds`, taken in turns after a warm-up so that a slow moment hits all alike."""
    times = {name: float("inf") for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            spent = seconds(call, clock, device)
            if turn:
                times[name] = min(times[name], spent)
    return times


def roofline(dtype: torch.dtype, rounds: int, clock: Clock, device: str) -> float:
    """Operations a second of a large square matrix product: what this machine can do."""
    size = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / best({"product": lambda: a @ b}, rounds, clock, device)["product"]


@torch.no_grad()
def time_models(config: EgoTwinConfig, arguments: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """Both models in turns; prints and returns seconds, operations a second, shares and peak memory."""
    device, dtype = arguments.device, arguments.dtype
    config = replace(config, position_origin=(0, 0))  # the same positions as diffusers' model of this size
    with torch.device(device):
        theirs = cogvideox(config).to(dtype)
        ours = EgoTwinTransformer(config).to(dtype).eval()
    load_cogvideox(ours, theirs.state_dict(), strict=True)
    x = inputs(config, device, dtype)
    wanted = run_cogvideox(theirs, config, x)
    difference = float((ours(**x)[0] - wanted).abs().max() / wanted.abs().max())
    if arguments.compile:
        for block in [*ours.transformer_blocks, *theirs.transformer_blocks]:
            block.compile()
    calls: dict[str, Callable[[], object]] = {
        "ours, joint": lambda: ours(**x),
        "ours, motion-only half": lambda: ours(**x, motion_only=True),
        "ours, text and video": lambda: ours(**without_motion(x)),
        "diffusers CogVideoX": lambda: run_cogvideox(theirs, config, x),
    }
    times, peak = best(calls, arguments.rounds, clock, device), roofline(dtype, 5 * arguments.rounds, clock, device)
    flops = [
        evaluation_flops(config),
        evaluation_flops(config, motion_only=True),
        evaluation_flops(config, motion=False),
        evaluation_flops(replace(config, num_motion_layers=0)),
    ]
    work = dict(zip(calls, (sum(parts.values()) for parts in flops), strict=True))
    slow = times["diffusers CogVideoX"]
    rows = [
        (name, f"{1e3 * s:.0f}", f"{work[name] / 1e12:.2f}", f"{work[name] / s / 1e12:.3f}",
         f"{work[name] / s / peak:.0%}", f"{s / slow:.2f}")
        for name, s in times.items()
    ]  # fmt: skip
    table(["evaluation", "ms", "TFLOP", "TFLOP/s", "of the roofline", "of diffusers' time"], rows)
    print(f"roofline {peak / 1e12:.3f} TFLOP/s; gate 0: the joint video differs from diffusers' by {difference:.1e}")
    found = {"seconds": times, "flops": work, "roofline": peak, "difference": difference, "compiled": arguments.compile}
    if device == "cuda":
        found["peak_bytes"] = peak_memory(ours, calls["ours, joint"])
        print(f"peak memory of a joint evaluation, weights included: {found['peak_bytes'] / 1e9:.1f} GB")
    print()
    return found


def peak_memory(model: nn.Module, call: Callable[[], object]) -> int:
    """Most GPU memory in use during a call, without what other models hold."""
    weights = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    others = torch.cuda.memory_allocated() - weights
    torch.cuda.reset_peak_memory_stats()
    call()
    return torch.cuda.max_memory_allocated() - others


@torch.no_grad()
def time_attention(config: EgoTwinConfig, arguments: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """The exact backends under the interaction mask, side by side, and no mask at all."""
    device, dtype, heads = arguments.device, arguments.dtype, arguments.attention_heads
    layout = Layout(config.text_length, config.latent_frames, config.tokens_per_frame, config.motion_length)
    q, k, v = (torch.randn(1, heads, layout.length, config.head_dim, device=device, dtype=dtype) for _ in range(3))
    mask = layout.mask(device)
    bias = torch.zeros(mask.shape, device=device, dtype=dtype).masked_fill(~mask, -torch.inf)
    calls: dict[str, Callable[[], Tensor]] = {
        "additive matrix": lambda: nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    }
    names = ["fused", "frames", "merge"] + (["flex"] if device == "cuda" else ["products"])
    calls |= {name: partial(attend, q, k, v, layout, backend=name) for name in names}
    calls["no mask at all (not the same)"] = partial(attend, q, k, v)
    rows = torch.cat([torch.arange(0, layout.num_others, 97), torch.arange(layout.num_others, layout.length)])
    wanted = attend_rows(q, k, v, mask, rows.to(device))
    errors = {name: float((call()[:, :, rows].double() - wanted).abs().max()) for name, call in calls.items()}
    times = best(calls, arguments.rounds, clock, device)
    open_time = times["no mask at all (not the same)"]
    chosen, kernel = choose(q, layout), kernel_name(str(q.device), dtype, config.head_dim, False)
    print(f"attention over {layout.length} tokens, {heads} heads; chosen here: {chosen}; merge's kernel: {kernel}")
    table(["backend", "ms", "of no mask", "from float64"], [
        (name, f"{1e3 * s:.1f}", f"{s / open_time:.2f}", f"{errors[name]:.0e}") for name, s in times.items()
    ])  # fmt: skip
    return {"seconds": times, "errors": errors, "chosen": chosen, "kernel": kernel, "heads": heads}


def attend_rows(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
    """Some rows of the attention by the formula in float64."""
    logits = query[:, :, rows].double() @ key.double().transpose(-1, -2) / query.shape[-1] ** 0.5
    return logits.masked_fill(~mask[rows], -torch.inf).softmax(-1) @ value.double()


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", help="default: bfloat16 on a GPU, float32 on a CPU")
    parser.add_argument("--heads", type=int, help="of the timed models; default: the paper's on a GPU, 6 on a CPU")
    parser.add_argument("--layers", type=int, help="likewise, half of them with motion; default on a CPU: 2")
    parser.add_argument("--latent-size", type=int, default=60, help="height and width of the timed latents; 60: 480 px")
    parser.add_argument("--attention-heads", type=int, help="default: the paper's on a GPU, 2 on a CPU")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--compile", action="store_true", help="also compile the blocks of both models")
    parser.add_argument("--skip", nargs="*", choices=["counts", "models", "attention"], default=[])
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args(words)
    arguments.dtype = getattr(torch, arguments.dtype or ("bfloat16" if arguments.device == "cuda" else "float32"))
    return arguments


def timed_config(arguments: argparse.Namespace) -> EgoTwinConfig:
    """The paper's model on a GPU; on a CPU the paper's tokens with fewer heads and layers."""
    paper, on_cpu = EgoTwinConfig.paper(), arguments.device == "cpu"
    heads = arguments.heads or (6 if on_cpu else paper.num_heads)
    layers = arguments.layers or (2 if on_cpu else paper.num_layers)
    width = paper.motion_width * heads // paper.num_heads
    size = arguments.latent_size
    return replace(
        paper, num_heads=heads, num_layers=layers, num_motion_layers=layers // 2, motion_width=width,
        latent_height=size, latent_width=size,
    )  # fmt: skip


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    arguments = parse(words)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    clock = time.perf_counter if arguments.clock == "wall" else time.process_time
    config = timed_config(arguments)
    arguments.attention_heads = arguments.attention_heads or (2 if arguments.device == "cpu" else config.num_heads)
    found: dict[str, Any] = {"torch": torch.__version__, "device": arguments.device, "dtype": str(arguments.dtype)}
    found |= {"threads": arguments.threads, "clock": arguments.clock}
    if arguments.device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    if "counts" not in arguments.skip:
        print("The paper's size\n")
        found["paper"] = count(EgoTwinConfig.paper())
    print(
        f"{found.get('gpu', 'CPU')}, {found['dtype']}, {arguments.clock} time, {config.num_heads} heads (width "
        f"{config.width}), {config.num_layers} blocks, {config.video_length} video tokens\n"
    )
    if "models" not in arguments.skip:
        found["models"] = time_models(config, arguments, clock)
    if "attention" not in arguments.skip:
        found["attention"] = time_attention(config, arguments, clock)
    if arguments.json:
        write_json(arguments.json, found)
    return found


if __name__ == "__main__":
    main()
