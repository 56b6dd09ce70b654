"""The figures and the table of numbers in docs/model.md, drawn from the code.

    python -m docs.figures

writes docs/branches.png (by walking the model the configuration builds), docs/interaction_mask.png (from
`interaction_mask`), and the tables between the `numbers` and the `runtimes` marks of docs/model.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
import torch
from numpy.typing import NDArray

from egotwin_model.diffusion.attention.attend import interaction_mask
from egotwin_model.egotwin.config import EgoTwinConfig
from egotwin_model.egotwin.flops import evaluation_flops
from egotwin_model.egotwin.transformer import EgoTwinTransformer
from egotwin_model.io.files import write_atomically, write_text
from egotwin_model.motion.vae import MotionVAE, MotionVAEConfig
from egotwin_model.runtimes.registry import RUNTIMES

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

DOCS = Path(__file__).resolve().parent
MARKS = ("<!-- numbers: python -m docs.figures -->", "<!-- end of numbers -->")
RUNTIME_MARKS = ("<!-- runtimes: python -m docs.figures -->", "<!-- end of runtimes -->")
TEXT, VIDEO, MOTION, SHARED, PALE = "#8d6cab", "#2f6f9f", "#d1662b", "#e9edf2", "#ffffff"
BLOCKED, OPEN, PAIR = 0, 1, 2


def build(config: EgoTwinConfig) -> EgoTwinTransformer:
    """The model on the meta device: names and shapes, no memory."""
    with torch.device("meta"):
        return EgoTwinTransformer(config)


def millions(*modules: Any) -> str:
    """Parameters of modules in millions."""
    return f"{sum(p.numel() for module in modules for p in module.parameters()) / 1e6:.1f} M"


def numbers(model: EgoTwinTransformer) -> dict[str, str]:
    """What the documentation states of the model's size, from the model."""
    c = model.config
    new = set(model.new_parameter_names())
    added = sum(p.numel() for name, p in model.named_parameters() if name in new)
    everything = sum(p.numel() for p in model.parameters())
    joint = sum(evaluation_flops(c).values())
    half = sum(evaluation_flops(c, motion_only=True).values())
    with torch.device("meta"):
        vae = MotionVAE(MotionVAEConfig.paper())
    total = c.text_length + c.video_length + c.motion_length
    return {
        "text tokens × width of their states": f"{c.text_length} × {c.text_dim}",
        "video tokens = latent frames × rows × columns": f"{c.video_length} = {c.latent_frames} × "
        f"{c.patch_grid[0]} × {c.patch_grid[1]}",
        "motion tokens × latent channels": f"{c.motion_length} × {c.motion_channels}",
        "tokens in the joint attention": f"{total}",
        "blocks, with a motion side": f"{c.num_layers}, {c.num_motion_layers}",
        "width of text and video = heads × channels": f"{c.width} = {c.num_heads} × {c.head_dim}",
        "width of motion": f"{c.motion_width}",
        "parameters of text and video (CogVideoX-5b-I2V's)": f"{(everything - added) / 1e6:.1f} M",
        "parameters added (motion branch, t_m, gates)": f"{added / 1e6:.1f} M",
        "motion VAE: encoder, decoder": f"{millions(vae.encoder)}, {millions(vae.decoder)}",
        "operations of one joint evaluation": f"{joint / 1e12:.3f} TFLOP",
        "operations of one that only guides motion": f"{half / 1e12:.3f} TFLOP",
    }


def numbers_table(model: EgoTwinTransformer) -> str:
    """The numbers as a Markdown table between its marks."""
    rows = [f"| {name} | {value} |" for name, value in numbers(model).items()]
    return "\n".join([MARKS[0], "| at the paper's size | |", "|---|---|", *rows, MARKS[1]])


def runtimes_table() -> str:
    """The registry's runtimes as a Markdown table between its marks."""
    rows = [f"| `{entry.name}` | {entry.description} |" for entry in RUNTIMES.values()]
    return "\n".join([RUNTIME_MARKS[0], "| runtime | computes with |", "|---|---|", *rows, RUNTIME_MARKS[1]])


def mask_cells(num_text: int = 2, num_frames: int = 11, num_motion: int = 21) -> NDArray[np.int64]:
    """What the mask figure shows, one token for each frame: BLOCKED, OPEN, or PAIR (video and motion, open)."""
    mask = interaction_mask(num_text, num_frames, 1, num_motion).numpy()
    cells = np.where(mask, OPEN, BLOCKED)
    video, motion = slice(num_text, num_text + num_frames), slice(num_text + num_frames, None)
    for block in (np.s_[video, motion], np.s_[motion, video]):
        cells[block] = np.where(mask[block], PAIR, BLOCKED)
    return cells


def draw_mask() -> plt.Figure:
    """The interaction mask, queries down, keys across."""
    num_text, num_frames, num_motion = 2, 11, 21
    cells = mask_cells(num_text, num_frames, num_motion)
    figure, axes = plt.subplots(figsize=(7.6, 7.6), layout="constrained")
    axes.pcolormesh(cells, cmap=ListedColormap([PALE, SHARED, MOTION]), edgecolors="#c9cfd8", linewidth=0.4)
    names = ["text"] + [f"$O^{{{i}}}$" for i in range(num_frames)] + ["$P^0$"]
    names += [f"$A^{{{i}}}$" for i in range((num_motion - 1) // 2)]
    starts = np.cumsum([0, num_text] + [1] * num_frames + [1] + [2] * ((num_motion - 1) // 2))
    middles = (starts[:-1] + starts[1:]) / 2
    axes.set_xticks(middles, names, fontsize=8)
    axes.set_yticks(middles, names, fontsize=8)
    for edge in (num_text, num_text + num_frames):
        axes.axhline(edge, color="#333333", linewidth=1.2)
        axes.axvline(edge, color="#333333", linewidth=1.2)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel("key: is attended to", fontsize=9)
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("query: attends", fontsize=9)
    axes.set_aspect("equal")
    figure.text(
        0.5, -0.035, "orange: open between video and motion;  grey: open;  white: blocked", ha="center", fontsize=9
    )
    return figure


class Diagram:
    """Boxes and arrows in three columns: text, video, motion."""

    columns: ClassVar = {"text": (0.0, TEXT), "video": (3.4, VIDEO), "motion": (6.8, MOTION)}

    def __init__(self, axes: Axes) -> None:
        self.axes = axes

    def box(self, x: float, y: float, width: float, height: float, label: str, edge: str, fill: str = PALE) -> None:
        style = {
            "boxstyle": "round,pad=0.02,rounding_size=0.08",
            "linewidth": 1.3,
            "edgecolor": edge,
            "facecolor": fill,
        }
        self.axes.add_patch(mpl.patches.FancyBboxPatch((x, y), width, height, **style))
        self.axes.text(x + width / 2, y + height / 2, label, ha="center", va="center", fontsize=8.2, linespacing=1.35)

    def branch(self, name: str, y: float, height: float, label: str) -> None:
        x, colour = self.columns[name]
        self.box(x, y, 3.0, height, label, colour)

    def note(self, x: float, y: float, label: str, **style: Any) -> None:
        """A line of text above the next element."""
        ground = {"facecolor": "#f6f8fa", "edgecolor": "none", "pad": 2.0}
        self.axes.text(x, y, label, fontsize=8.2, bbox=ground, zorder=5, **style)

    def arrow(self, name: str, low: float, high: float) -> None:
        x, colour = self.columns[name]
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
        self.axes.annotate("", (x + 1.5, high), (x + 1.5, low), arrowprops=arrow)


def draw_branches(model: EgoTwinTransformer) -> plt.Figure:
    """The three branches from bottom to top; every number is read off the model."""
    c = model.config
    lower = [block for block in model.transformer_blocks if block.motion is not None]
    upper = [block for block in model.transformer_blocks if block.motion is None]
    figure, axes = plt.subplots(figsize=(8.6, 9.4), layout="constrained")
    diagram = Diagram(axes)
    _inputs(diagram, model)
    block, motion = lower[0], lower[0].motion
    edge = "#7b8794"
    diagram.box(-0.2, 4.05, 10.2, 4.3, "", edge, "#f6f8fa")
    diagram.note(4.9, 8.08, f"{len(lower)} × block with a motion side", weight="bold", ha="center")
    for name, own in (("text", block), ("video", block), ("motion", motion)):
        width = c.motion_width if name == "motion" else c.width
        diagram.arrow(name, 3.55, 4.25)
        diagram.branch(name, 4.25, 0.5, f"AdaLN, q k v: {width} → {c.width}")
        diagram.arrow(name, 4.75, 5.05)
        diagram.arrow(name, 5.75, 6.1)
        diagram.branch(name, 6.1, 0.5, f"out: {c.width} → {width}")
        diagram.arrow(name, 6.6, 6.9)
        diagram.branch(name, 6.9, 0.5, f"AdaLN, MLP {own.ff.net[0]['proj'].in_features} → "
                       f"{own.ff.net[0]['proj'].out_features} → {own.ff.net[2].out_features}")  # fmt: skip
    tokens = c.text_length + c.video_length + c.motion_length
    gate = " · gate per head" if motion.gate is not None else ""
    label = f"one joint attention: {tokens} tokens, {c.num_heads} heads × {c.head_dim} · interaction mask{gate}"
    diagram.box(0.0, 5.05, 9.8, 0.7, label, "#333333", SHARED)
    label = f"text and video share all weights but AdaLN's: {millions(block.attn1, block.ff)} + AdaLN "
    label += f"{millions(block.norm1, block.norm2)};  motion {millions(motion)}"
    diagram.note(4.9, 7.65, label, ha="center")
    diagram.arrow("text", 7.4, 8.95)
    diagram.arrow("video", 7.4, 8.95)
    diagram.arrow("motion", 7.4, 9.0)
    label = (
        f"{len(upper)} × block without one: unmasked attention over {c.text_length + c.video_length} tokens\n"
        f"{millions(upper[0].attn1, upper[0].ff)} + AdaLN {millions(upper[0].norm1, upper[0].norm2)} each"
    )
    diagram.box(-0.2, 8.95, 6.6, 0.85, label, edge, "#f6f8fa")
    head = model.motion_head
    diagram.branch("motion", 9.0, 0.75, f"norm, AdaLN, {head.proj_out.in_features} → {head.proj_out.out_features}\n"
                   f"v of {c.motion_length} × {c.motion_channels}")  # fmt: skip
    diagram.arrow("video", 9.8, 10.2)
    label = f"norm, AdaLN, {model.proj_out.in_features} → {model.proj_out.out_features}\nv of {c.latent_frames} × "
    diagram.branch("video", 10.2, 0.75, f"{label}{c.latent_channels} × {c.latent_height} × {c.latent_width}")
    axes.set(xlim=(-0.35, 10.15), ylim=(-0.1, 11.1))
    axes.axis("off")
    return figure


def _inputs(diagram: Diagram, model: EgoTwinTransformer) -> None:
    """Bottom rows: what goes in, the embeddings, and the timesteps that feed every AdaLN."""
    c, embed, time, head = model.config, model.patch_embed, model.time_embedding, model.motion_head
    label = f"$t_v$ and $t_m$: sinusoids, {time.linear_1.in_features} each → MLP {time.linear_1.out_features} "
    diagram.box(0, 0, 9.8, 0.7, f"{label}({millions(time)}) → AdaLN of every branch and block", "#333333", SHARED)
    diagram.branch("text", 1.0, 0.85, f"goal\n{c.text_length} T5 states × {c.text_dim}")
    diagram.branch("video", 1.0, 0.85, f"noisy video latents + $I^0$\n{c.latent_frames} × {embed.proj.in_channels} × "
                   f"{c.latent_height} × {c.latent_width}")  # fmt: skip
    diagram.branch("motion", 1.0, 0.85, f"noisy motion latents + $P^0$ + mask\n{c.motion_length} × "
                   f"{head.proj_in.in_features}")  # fmt: skip
    p = c.patch_size
    labels = {
        "text": f"linear → {embed.text_proj.out_features}",
        "video": f"{p}×{p} patches → {embed.proj.out_channels}\n+ position table, RoPE in q and k",
        "motion": f"linear → {head.proj_in.out_features}\n+ sinusoids",
    }
    lengths = {"text": c.text_length, "video": c.video_length, "motion": c.motion_length}
    for name, label in labels.items():
        diagram.arrow(name, 1.85, 2.15)
        diagram.branch(name, 2.15, 1.4, f"{label}\n{lengths[name]} tokens")


def save(figure: plt.Figure, path: Path) -> None:
    """The figure as a PNG without date or version, so that equal figures are equal files."""
    write_atomically(path, lambda temporary: figure.savefig(
        temporary, dpi=110, bbox_inches="tight", metadata={"Software": None}
    ))  # fmt: skip
    plt.close(figure)


def main() -> None:
    model = build(EgoTwinConfig.paper())
    save(draw_branches(model), DOCS / "branches.png")
    save(draw_mask(), DOCS / "interaction_mask.png")
    page = DOCS / "model.md"
    text = page.read_text(encoding="utf-8")
    for marks, table in ((MARKS, numbers_table(model)), (RUNTIME_MARKS, runtimes_table())):
        before, rest = text.split(marks[0])
        text = before + table + rest.split(marks[1])[1]
    write_text(page, text)


if __name__ == "__main__":
    main()
