"""Parameters, operations and bytes of the transformer, counted on the meta device, where nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cogvideox import cogvideox, inputs, run_cogvideox, without_motion
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.flops import evaluation_flops
from egotwin_model.egotwin.transformer import EgoTwinTransformer


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a header; the first column to the left, numbers to the right."""
    cells = [list(map(str, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        print("  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]))
    print()


def parameters(model: EgoTwinTransformer) -> dict[str, int]:
    """Parameters by branch."""
    new = set(model.new_parameter_names())
    counts = {"text and video: blocks": 0, "text and video: AdaLN": 0, "text and video: embeddings, head": 0}
    counts["added: motion branch, t_m"] = 0
    for name, parameter in model.named_parameters():
        if name in new:
            part = "added: motion branch, t_m"
        elif "transformer_blocks" not in name:
            part = "text and video: embeddings, head"
        else:
            part = f"text and video: {'AdaLN' if 'norm1' in name or 'norm2' in name else 'blocks'}"
        counts[part] += parameter.numel()
    return {**counts, "all": sum(counts.values())}


def counted(call: Callable[[], object]) -> int:
    """Operations that torch counts in a call on the meta device."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def activation_peak(config: EgoTwinConfig) -> int:
    """Most bytes of activations alive at once in a block with a motion side, in bfloat16: an evaluation's peak.

    One such block, run eagerly on the meta device under torch's memory tracker; blocks run one after the other.
    """
    with torch.device("meta"):
        model = EgoTwinTransformer(replace(config, num_layers=1, num_motion_layers=1)).bfloat16().eval()
        x = inputs(config, "meta", torch.bfloat16)
    tracker = MemTracker()
    tracker.track_external(model, *x.values())
    with torch.no_grad(), tracker:
        model(**x, motion_only=True)
    (peak,) = tracker.get_tracker_snapshot("peak").values()
    return next(count for kind, count in peak.items() if "ACT" in str(kind))


def count(config: EgoTwinConfig) -> dict[str, Any]:
    """Parameters, operations and bytes at a configuration's size, printed and returned."""
    with torch.device("meta"):
        ours, theirs, x = EgoTwinTransformer(config).eval(), cogvideox(config), inputs(config, "meta", torch.float32)
    found: dict[str, Any] = {"parameters": parameters(ours)}
    table(["parameters", "million"], [(k, f"{v / 1e6:.1f}") for k, v in found["parameters"].items()])
    formula = {
        "joint": evaluation_flops(config),
        "motion-only half": evaluation_flops(config, motion_only=True),
        "text and video": evaluation_flops(config, motion=False),
    }
    table(["joint evaluation, by formula", "TFLOP"], [(k, f"{v / 1e12:.3f}") for k, v in formula["joint"].items()])
    counter = {
        "joint": counted(lambda: ours(**x)),
        "motion-only half": counted(lambda: ours(**x, motion_only=True)),
        "text and video": counted(lambda: ours(**without_motion(x))),
    }
    reference = counted(lambda: run_cogvideox(theirs, config, x))
    rows = [
        (name, f"{sum(formula[name].values()) / 1e12:.3f}", f"{n / 1e12:.3f}", n - sum(formula[name].values()),
         f"{n / reference:.3f}")
        for name, n in counter.items()
    ]  # fmt: skip
    rows.append(("diffusers CogVideoX", "", f"{reference / 1e12:.3f}", "", "1.000"))
    table(["evaluation", "TFLOP by formula", "by counter", "difference in FLOP", "of diffusers'"], rows)
    found["flops_by_formula"], found["flops_by_counter"] = formula, {**counter, "diffusers": reference}
    found["weights_bytes_bf16"] = 2 * found["parameters"]["all"]
    found["activation_bytes_bf16"] = activation_peak(config)
    streams = 2 * config.num_layers * (config.text_length + config.video_length) * config.width
    found["checkpointed_streams_bytes_bf16"] = streams
    table(["bytes in bfloat16", "GB"], [
        ("weights", f"{found['weights_bytes_bf16'] / 1e9:.2f}"),
        ("activations of an evaluation, peak", f"{found['activation_bytes_bf16'] / 1e9:.2f}"),
        ("streams that gradient checkpointing keeps", f"{streams / 1e9:.2f}"),
    ])  # fmt: skip
    return found
