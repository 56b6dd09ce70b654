"""The figures in README, from the shipped model's manifest, where `egotwin evaluate --record` keeps them.

    python -m docs.results

writes the table between README's two `metrics` marks; no figure is typed in by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from egotwin_model.io.files import read_json, write_text

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "egotwin-mini"
MARKS = ("<!-- metrics: begin (python -m docs.results) -->", "<!-- metrics: end -->")

Figure = dict[str, float]
Row = tuple[str, str, str]


def share(figure: Figure) -> str:
    return f"{figure['value']:.0%} [{figure['low']:.0%}, {figure['high']:.0%}], {figure['clips']:.0f} clips"


def number(digits: int, unit: str = "", scale: float = 1.0) -> Callable[[Figure], str]:
    """A figure with its interval, in another unit if need be."""

    def written(figure: Figure) -> str:
        value, low, high = (scale * figure[key] for key in ("value", "low", "high"))
        return f"{value:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"

    return written


def obedience(metrics: dict[str, Any]) -> list[Row]:
    own, sides = metrics["obedience_own_goal"], metrics["obedience_either_side"]
    rows = [
        (f'Goal "turn {side}", unseen wording, standing start: heading changes by more than 30° to the {side}',
         "≥ 95 %", share(sides[f"turn_{side}"]))
        for side in ("left", "right")
    ]  # fmt: skip
    own_goal = "Goal of the clip: every action obeyed, by fixed rules (turns within ±40 %)"
    rows.append((own_goal, "≥ 95 %", share(own["everything"])))
    rows += [
        (f"… clips with: {kind} (the rules recognise {figure['true_clips']:.0%} of true clips)", "", share(figure))
        for kind, figure in own.items()
        if kind != "everything"
    ]
    return rows


def paths(metrics: dict[str, Any]) -> list[Row]:
    heads, metres = metrics["head_position_error_after_5_s_m"], number(2, " m")
    least = min(heads[name]["value"] for name in ("mean_path_of_the_behaviour", "nearest_neighbour"))
    wanted = min(least, 0.4 * heads["constant_velocity"]["value"])
    mean = heads["model_mean_of_futures"]
    rows = [
        ("Head position error after 5 s, one sample", f"< {wanted:.2f} m", metres(heads["model"])),
        (f"… mean of {mean['futures']} samples", f"< {wanted:.2f} m", metres(mean)),
    ]
    names = {
        "mean_path_of_the_behaviour": "mean path of the behaviour (given which one)",
        "nearest_neighbour": "nearest training clip by first frame and wording",
        "constant_velocity": "constant velocity (given the second pose)", "zero_motion": "no motion",
    }  # fmt: skip
    return [*rows, *((f"… baseline: {title}", "", metres(heads[name])) for name, title in names.items())]


def bodies(metrics: dict[str, Any]) -> list[Row]:
    body, speed = metrics["body"], number(1, " cm/s", 100)
    coded = speed(metrics["codecs"]["stance_sliding"])
    return [
        (
            f"Sliding of standing feet (true clips through the motion codec: {coded})",
            "< 8 cm/s",
            speed(body["stance_sliding"]),
        ),
        ("Floor penetration, mean depth", "< 2 cm", number(2, " cm", 100)(body["floor_penetration"])),
    ]


def views(metrics: dict[str, Any]) -> list[Row]:
    true, coded = metrics["view_and_head_of_true_clips"], metrics["codecs"]
    along, against = metrics["video_from_motion"], metrics["video_from_motion_against_the_text"]
    key, number3 = "correlation_per_frame", number(3)
    half = "correlation_per_half_second"
    side = "turns_to_the_same_side"
    bound = f"true clips {true[key]['value']:.3f}, through the video codec {coded[key]['value']:.3f}"
    still = along["psnr_db_2_to_5_s_repeat_first_frame"]["value"]
    return [
        (f"Imagined view and head turn together: correlation from frame to frame ({bound})", "≥ .93",
         number3(metrics["view_and_head"][key])),
        (f"… over half seconds (true clips {true[half]['value']:.3f})", "", number3(metrics["view_and_head"][half])),
        ('… goals "turn left" and "turn right": the view moves to the side the head turns to', "≥ 97 %",
         share(metrics["view_and_head_either_side"][side])),
        ("Video for a given motion: correlation from frame to frame", "≥ .93", number3(along[key])),
        ("… with a text that asks for the other side", "≥ .93", number3(against[key])),
        ("… with that text: the view moves to the motion's side", "≥ 97 %", share(against[side])),
        (f"… PSNR at 2 to 5 s (repeated first frame: {still:.1f} dB)", f"≥ {still + 2:.1f} dB",
         number(1, " dB")(along["psnr_db_2_to_5_s"])),
    ]  # fmt: skip


def codecs(metrics: dict[str, Any]) -> list[Row]:
    found = metrics["codecs"]
    return [
        ("Video codec: PSNR of true clips", "≥ 28 dB", number(1, " dB")(found["video_psnr_db"])),
        ("Motion codec: joint position error", "≤ 1.5 cm", number(2, " cm", 100)(found["joint_error_m"])),
        ("… head rotation error", "≤ 1°", number(2, "°", float(np.rad2deg(1)))(found["head_rotation_error_rad"])),
    ]


def block(manifest: dict[str, Any]) -> str:
    """The text between the marks."""
    metrics, stages = manifest["metrics"], manifest["stages"]
    seen = {name: s["recipe"]["train"]["batch_size"] * s["last_metrics"]["step"] for name, s in stages.items()}
    hours = sum(clips / stages[name]["last_metrics"]["clips_per_s"] for name, clips in seen.items()) / 3600
    rows = [row for part in (obedience, paths, bodies, views, codecs) for row in part(metrics)]
    lines = [
        f"`{manifest['name']}` on test clips, whose rooms, bodies and wordings are not in its training data: "
        f"{metrics['starts']} or {2 * metrics['starts']} clips for each measurement unless stated, with 95 % intervals "
        "over clips (`egotwin evaluate`; also in the model's `manifest.json`).",
        "",
        "| metric | target | measured |",
        "|---|---|---|",
        *(f"| {what} | {wanted} | {measured} |" for what, wanted, measured in rows),
        "",
        f"Its last stage saw {round(seen['joint'], -3):,} clips, repeats counted; all stages together took {hours:.1f} "
        "hours of two CPU cores ([curves](docs/training.png)).",
    ]
    return "\n".join(lines)


def replaced(page: str, manifest: dict[str, Any]) -> str:
    """README with the block written again."""
    begin, end = (page.index(mark) for mark in MARKS)
    return page[: begin + len(MARKS[0])] + "\n" + block(manifest) + "\n" + page[end:]


def main() -> None:
    path = ROOT / "README.md"
    write_text(path, replaced(path.read_text(encoding="utf-8"), read_json(MODEL / "manifest.json")))


if __name__ == "__main__":
    main()
