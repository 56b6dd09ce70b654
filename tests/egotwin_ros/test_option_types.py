"""Numbers on the command line: what a command cannot do is refused by the option's name, before anything starts."""

from __future__ import annotations

import pytest

from egotwin_ros.job import command

WRONG = {
    "--samples": ("0", "-1", "65", "1.5", "nan", "many"),
    "--steps": ("-1", "1001", "inf"),
    "--threads": ("-1", "1025", "two"),
    "--seed": ("-2", str(2**63), "0.5"),
    "--horizon": ("-1", "nan", "inf", "-inf"),
    "--at": ("-0.1", "nan", "inf"),
    "--rate": ("-1", "nan", "inf", "1e9"),
}
CASES = [(option, value) for option, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("option", "value"), CASES)
def test_imagine_refuses_numbers_it_cannot_use(option: str, value: str, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        command.main([f"{option}={value}", "--out", str(tmp_path / "out")])
    assert exit_.value.code == 2
    printed = capsys.readouterr().err
    assert f"argument {option}: " in printed
    assert repr(value) in printed
    assert not (tmp_path / "out").exists()


def test_imagine_takes_the_numbers_at_the_bounds() -> None:
    options = ["--samples=64", "--steps=1000", f"--seed={2**63 - 1}", "--horizon=0", "--at=0", "--rate=0"]
    given = command.parser().parse_args(options)
    assert (given.samples, given.steps, given.seed) == (64, 1000, 2**63 - 1)
    assert (given.horizon, given.at, given.rate) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("option", ["--rate", "--start", "--until", "--wait"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e12", "soon"])
def test_replay_refuses_numbers_it_cannot_use(option: str, value: str, capsys) -> None:
    replay_node = pytest.importorskip("egotwin_ros.nodes.replay_node", reason="needs rclpy: make setup")
    with pytest.raises(SystemExit) as exit_:
        replay_node.ros_arguments(["walk.mcap", f"{option}={value}"])
    assert exit_.value.code == 2
    assert f"argument {option}: {value!r}" in capsys.readouterr().err
