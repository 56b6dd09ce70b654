"""Lifecycle node ``imagine``: images, intrinsics, body poses and goals in; imagined seconds out.

configure loads the model (FAILURE where it cannot: the node stays unconfigured, and goals are answered by BAD_MODEL);
activate starts publishing; deactivate cancels what runs; cleanup unloads the model. With ``autostart`` the node runs
the first two transitions itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.timer import Timer
from std_msgs.msg import String

from egotwin_model.errors import Cancelled, EgoTwinError, ModelError
from egotwin_ros.action import Imagine
from egotwin_ros.bringup import environment
from egotwin_ros.error_codes import Code, code_name, error_code
from egotwin_ros.executor import FairExecutor
from egotwin_ros.image_bridge import to_rgb
from egotwin_ros.input_topics import topics_for
from egotwin_ros.inputs import JUMP_BACK_NS, InputBuffer
from egotwin_ros.memory_thread import start_memory
from egotwin_ros.messages import ros_class
from egotwin_ros.model_call import load, load_depth
from egotwin_ros.msg import Imagination
from egotwin_ros.outputs import UNCONFIGURED, Health, Outputs
from egotwin_ros.parameters import ImagineParameters, declare, read
from egotwin_ros.request import Progress, Report, Request
from egotwin_ros.session import Session
from egotwin_ros.transforms import MakeBroadcaster, tf2_broadcaster
from egotwin_ros.worker import Job, Worker

MEMORY_PERIOD_S = 1.0
NO_MODEL = "no model is loaded: configure the node (ros2 lifecycle set /imagine configure)"


class ImagineNode(LifecycleNode):
    """See the module; parameters in `egotwin_ros.parameters`, topics in the README.

    Args:
        make_broadcaster: see `Outputs`; by default tf2_ros' where it is installed.
        options: of rclpy's node.
    """

    def __init__(self, *, make_broadcaster: MakeBroadcaster | None = tf2_broadcaster, **options: object) -> None:
        super().__init__("imagine", **options)
        self._make_broadcaster = make_broadcaster
        declare(self)
        self.session: Session | None = None
        self.loading = False
        self._refusal = NO_MODEL
        self.goal_text = ""
        self._health = Health()
        self._worker: Worker[list[Imagination]] = Worker()
        self._worker.pause()  # until the node is active
        self._settled = threading.Event()  # set unless the node is still starting itself up
        self._messages_in = MutuallyExclusiveCallbackGroup()
        self._input_subscriptions: list[object] = []
        self._action_server = ActionServer(
            self, Imagine, "~/imagine", self._execute, goal_callback=self._accept_goal,
            cancel_callback=self._accept_cancel, callback_group=ReentrantCallbackGroup(), result_timeout=60,
        )  # fmt: skip
        self.create_subscription(String, "~/goal", self._latch_goal, 10, callback_group=self._messages_in)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Wall time: with use_sim_time and no /clock yet, a ROS timer would never fire.
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._diagnose, clock=self._wall, callback_group=MutuallyExclusiveCallbackGroup())
        self._clock_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-JUMP_BACK_NS), on_clock_change=False),
            post_callback=self._follow_clock,
        )
        self._goal_timer: Timer | None = None
        self._memory_timer: Timer | None = None
        self._start_timer: Timer | None = None
        if self.get_parameter("autostart").value:
            group = MutuallyExclusiveCallbackGroup()
            self._start_timer = self.create_timer(0.0, self._start, clock=self._wall, callback_group=group)
        else:
            self._settled.set()

    # Lifecycle

    def _start(self) -> None:
        if self._start_timer is not None:
            self._start_timer.cancel()
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        finally:
            self._settled.set()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the model and opens topics. FAILURE: wrong parameters or model folder; the node stays unconfigured."""
        begin = time.monotonic()
        try:
            parameters = read(self)
            self.loading = True
            pipeline = load(parameters)
            estimate = load_depth(parameters, pipeline.runtime.name)
        except Exception as error:  # the node outlives any model folder; the log names the reason
            self._refusal = str(error)
            named = isinstance(error, EgoTwinError)
            self._fail(f"{UNCONFIGURED}{code_name(error_code(error)) if named else type(error).__name__}: {error}")
            if not isinstance(error, ValueError):
                self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        finally:
            self.loading = False
        inputs = InputBuffer(parameters, to_rgb)
        outputs = Outputs(self, parameters, pipeline.info, self._make_broadcaster)
        memory = start_memory(parameters, inputs, pipeline.info, estimate, self.get_logger().warning)
        self.session = session = Session(parameters, pipeline, inputs, outputs, memory)
        self._subscribe(session)
        self._goal_timer = self.create_timer(
            1.0 / parameters.rate_hz, self._imagine_latched, clock=self._wall, callback_group=self._messages_in
        )
        self._memory_timer = self.create_timer(
            MEMORY_PERIOD_S, lambda: session.show_memory(self.get_clock().now().nanoseconds), clock=self._wall,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )  # fmt: skip
        info, runtime = pipeline.info, pipeline.runtime
        self._health = Health("inactive", info.name, info.sha256, runtime.name, runtime.description)
        self.get_logger().info(
            f"model {info.name} ({info.sha256[:12]}) loaded in {time.monotonic() - begin:.1f} s: "
            f"{info.horizon_s:g} s ahead, {info.num_poses} poses, "
            f"{info.num_frames} frames of {info.camera.width}x{info.camera.height}, on {runtime.description}"
        )
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Starts publishing and accepting goals."""
        result = super().on_activate(state)
        if result == TransitionCallbackReturn.SUCCESS:
            self._health.state = "active"
            self._worker.resume()
            if self.session is not None:
                self.session.remember()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Cancels what runs, waits for it to end and stops publishing; the model stays loaded.

        Goals are refused before the wait begins, so none can start during it. FAILURE: an imagination did not stop
        within parameter stop_timeout_s; the node stays active and accepts goals again.
        """
        self._health.state = "inactive"
        if not self._stop_imagining("deactivate"):
            self._health.state = "active"
            self._worker.resume()
            return TransitionCallbackReturn.FAILURE
        if self.session is not None:
            self.session.forget("the node was deactivated", pause=True)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unloads the model and removes the topics. FAILURE: as in `on_deactivate`; the node stays inactive."""
        if not self._stop_imagining("cleanup"):
            return TransitionCallbackReturn.FAILURE
        self._release()
        self._refusal, self._health = NO_MODEL, Health()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unloads the model for good. FAILURE: as in `on_deactivate`; the node is finalized and keeps the model."""
        stopped = self._stop_imagining("shutdown")
        if self.session is not None:
            self.session.forget("the node was shut down", pause=True)
        self._health = Health("finalized")
        if not stopped:
            return TransitionCallbackReturn.FAILURE
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _stop_imagining(self, transition: str) -> bool:
        """Refuses new jobs, cancels those there are, and waits; False, with the job named in the log, on timeout."""
        limit_s = (self.session.parameters if self.session is not None else ImagineParameters()).stop_timeout_s
        self._worker.pause()
        if self._worker.drain(limit_s):
            return True
        self._fail(
            f"{transition} failed: {self._worker.running} is still running {limit_s:g} s after it was cancelled "
            "(parameter stop_timeout_s); repeat the transition when its current sampler step is done"
        )
        return False

    def _follow_clock(self, jump: TimeJump) -> None:
        if self.session is not None:
            self.session.forget(f"/clock went back by {-jump.delta.nanoseconds / 1e9:.2f} s")

    def _subscribe(self, session: Session) -> None:
        parameters = session.parameters
        for topic in topics_for(parameters.depth_source):
            message_type, suffix = topic.transported(parameters.image_transport)
            name = self.resolve_topic_name(topic.name).removesuffix(suffix) + suffix if suffix else topic.name
            subscription = self.create_subscription(
                ros_class(message_type), name, partial(session.receive, topic.name), qos_profile_sensor_data,
                callback_group=self._messages_in,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )  # fmt: skip
            self._input_subscriptions.append(subscription)

    def _release(self) -> None:
        session, self.session = self.session, None
        self.goal_text = ""
        if session is None:
            return
        self.destroy_timer(self._goal_timer)
        self.destroy_timer(self._memory_timer)
        for subscription in self._input_subscriptions:
            self.destroy_subscription(subscription)
        self._input_subscriptions.clear()
        session.close()

    # Goals of the action

    def _accept_goal(self, goal: Imagine.Goal) -> GoalResponse:
        if self._health.state == "inactive" and self._settled.is_set():
            self.get_logger().warning("goal rejected: the node is not active (ros2 lifecycle set /imagine activate)")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _accept_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        return CancelResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> Imagine.Result:
        result = Imagine.Result()
        try:
            self._settled.wait()
            result.imaginations = self._answer(handle)
            handle.succeed()
        except Cancelled as error:
            result.error_code, result.error_msg = Code.CANCELLED, str(error)
            self.get_logger().info(f"goal {handle.request.goal[:60]!r}: {error}")
            if handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
        except Exception as error:  # every fault becomes a numbered answer; the node stays up
            result.error_code, result.error_msg = error_code(error), self._describe(error)
            self._fail(f"goal {handle.request.goal[:60]!r}: {code_name(result.error_code)}: {result.error_msg}")
            if result.error_code == Code.INTERNAL:
                self.get_logger().error(traceback.format_exc())
            handle.abort()
        return result

    def _answer(self, handle: ServerGoalHandle) -> list[Imagination]:
        def report(step: int, steps: int, seconds_left: float) -> None:
            handle.publish_feedback(Imagine.Feedback(step=step, steps=steps, seconds_left=seconds_left))

        request = Request.of_action(handle.request, bytes(handle.goal_id.uuid))
        job = self._job(request, lambda: handle.is_cancel_requested, report)
        self._worker.submit_action(job)
        return job.result.result()

    # The goal of ~/goal

    def _latch_goal(self, message: String) -> None:
        self.goal_text = message.data
        self.get_logger().info(f"~/goal: {message.data[:60]!r}" if message.data else "~/goal: cleared")
        if message.data:
            self._imagine_latched()
        else:
            self._worker.cancel_latched()

    def _imagine_latched(self) -> None:
        text = self.goal_text
        if not text or not self._worker.idle or self._health.state == "inactive":
            return
        try:
            job = self._job(Request.of_text(text, self._loaded().parameters))
        except Exception as error:  # logged; the next tick tries again
            self._fail_latched(error)
            return
        job.result.add_done_callback(lambda done: self._fail_latched(done.exception()))
        self._worker.submit_latched(job)

    def _fail_latched(self, error: BaseException | None) -> None:
        if isinstance(error, Cancelled) or not isinstance(error, Exception):
            return
        self._fail(f"~/goal: {code_name(error_code(error))}: {self._describe(error)}")

    # Both

    def _loaded(self) -> Session:
        if self.session is None:
            raise ModelError(self._refusal)
        return self.session

    def _job(
        self, request: Request, cancelled: Callable[[], bool] = lambda: False, report: Report | None = None
    ) -> Job[list[Imagination]]:
        """The checked request as a job of the worker, whose thread observes the inputs and runs the model."""
        session = self._loaded()
        checked = request.checked(session.info, session.parameters)

        def call(stopped: Callable[[], bool]) -> list[Imagination]:
            def ended() -> bool:
                return stopped() or cancelled()

            observation = session.observe(checked, lambda: self.get_clock().now().nanoseconds, ended)
            if observation.depth_refusal:
                self.get_logger().warning(f"imagined without the depth image: {observation.depth_refusal}")
            begin = time.monotonic()
            messages, publish = session.imagine(checked, observation, Progress(ended, report))
            self._health.succeeded(time.monotonic() - begin)
            publish()
            self.get_logger().info(
                f"imagined {checked.goal[:60]!r}: {len(messages)} sample(s), {checked.horizon_s:g} s ahead, "
                f"in {self._health.last_latency_s:.2f} s (seed {checked.seed})"
            )
            return messages

        return Job(call, f"the imagination of {checked.goal[:60]!r}")

    def _describe(self, error: Exception) -> str:
        if error_code(error) == Code.INTERNAL:
            return f"{type(error).__name__}: {error}"
        return str(error)

    def _fail(self, text: str) -> None:
        repeated = self._health.failing and self._health.last_error == text
        self._health.last_error, self._health.failing = text, True
        if not repeated:
            self.get_logger().error(text)

    def _diagnose(self) -> None:
        session = self.session
        received = session.inputs.received if session is not None else {}
        memory = session.memory_values() if session is not None else {}
        now = self.get_clock().now().to_msg()
        self._diagnostics.publish(self._health.message(self.get_fully_qualified_name(), now, received, memory))

    def destroy_node(self) -> None:
        """Stops the model and the memory first."""
        self._clock_jumps.unregister()
        self._worker.stop()
        self._release()
        super().destroy_node()


def main(arguments: list[str] | None = None) -> None:
    """Runs the node until it is interrupted."""
    os.environ.update(environment())
    rclpy.init(args=sys.argv if arguments is None else arguments)
    node = ImagineNode()
    executor = FairExecutor(num_threads=4)
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if node.loading:  # Python would wait for that thread, and neither imports nor loading can be interrupted
            rclpy.try_shutdown()
            sys.stderr.flush()
            os._exit(0)
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
