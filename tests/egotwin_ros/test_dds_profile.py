"""config/fastdds.xml lets best-effort images through, which Fast DDS's default transports drop."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from egotwin_ros import bringup

from ..shared_data import missing_extra

pytest.importorskip("rclpy", reason=missing_extra("ros"))

IMAGES = 60
COMMON = """
    import array, sys, time
    import rclpy
    from rclpy.qos import qos_profile_sensor_data as best_effort
    from sensor_msgs.msg import Image
    rclpy.init()
    node = rclpy.create_node(sys.argv[1])
    deadline = time.monotonic() + 40
"""
SENDER = """
    publisher = node.create_publisher(Image, "image", best_effort)
    image = Image(height=480, width=480, encoding="rgb8", step=1440, data=array.array("B", bytes(480 * 480 * 3)))
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    sent = 0
    while publisher.get_subscription_count() > 0 and time.monotonic() < deadline:
        publisher.publish(image)
        sent += 1
        time.sleep(1 / 30)
    print(sent)
"""
RECEIVER = f"""
    got = []
    node.create_subscription(Image, "image", got.append, best_effort)
    while len(got) < {IMAGES} and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    print(len(got))
"""


@pytest.mark.ros
def test_best_effort_images_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    environment = {
        **os.environ,
        **bringup.environment(),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(120 + os.getpid() % 80),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(COMMON) + textwrap.dedent(body), name],
            env=environment, stdout=subprocess.PIPE, text=True,
        )
        for name, body in (("receiver", RECEIVER), ("sender", SENDER))
    ]  # fmt: skip
    try:
        received, sent = (int(process.communicate(timeout=60)[0]) for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert received == IMAGES
    assert sent <= IMAGES * 5 // 4, f"{sent} were sent until {received} had arrived"
