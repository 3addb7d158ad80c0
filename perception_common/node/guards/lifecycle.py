"""A lifecycle node that refuses what its state does not allow and does one thing at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.parameter import Parameter

MAX_REFUSALS = 20  # lines in the log; several managers that ask by turns must not fill it
MAX_LABEL = 40  # characters of a label in the log, which a client chooses


class GuardedLifecycleNode(LifecycleNode):
    """Answers every request for a transition; transitions and parameter changes of several threads wait for each other.

    A transition that the present state does not allow is answered with `success` false (FAILURE of the `trigger_`
    methods) and leaves the node as it is. Until a transition is allowed again, the log gets one line for each different
    request, and no more than MAX_REFUSALS.
    """

    def __init__(self, name: str) -> None:
        self._change_lock = threading.RLock()
        self._refusals: set[str] = set()  # that the log has, since a transition was allowed
        super().__init__(name)
        (service,) = (service for service in self.services if service.srv_type is ChangeState)
        self._change_state: Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response]
        self._change_state = service.callback
        service.callback = self._answer_request

    @property
    def state(self) -> str:
        """The present state of the life cycle, such as "inactive"."""
        return str(self._state_machine.current_state[1])

    def trigger_configure(self) -> TransitionCallbackReturn:
        """Configure the node."""
        return self._trigger("configure", super().trigger_configure)

    def trigger_activate(self) -> TransitionCallbackReturn:
        """Activate the node."""
        return self._trigger("activate", super().trigger_activate)

    def trigger_deactivate(self) -> TransitionCallbackReturn:
        """Deactivate the node."""
        return self._trigger("deactivate", super().trigger_deactivate)

    def trigger_cleanup(self) -> TransitionCallbackReturn:
        """Clean the node up."""
        return self._trigger("cleanup", super().trigger_cleanup)

    def trigger_shutdown(self) -> TransitionCallbackReturn:
        """Shut the node down."""
        return self._trigger("shutdown", super().trigger_shutdown)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """Set parameters one by one; returns a result for each."""
        with self._change_lock:
            return list(super().set_parameters(parameter_list))

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set all parameters or none."""
        with self._change_lock:
            return super().set_parameters_atomically(parameter_list)

    def _answer_request(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        wanted = request.transition
        with self._change_lock:
            if self._allows(wanted.label if wanted.label else wanted.id):
                return self._change_state(request, response)
            self._refuse_transition(wanted.label or f"number {wanted.id}")
        response.success = False
        return response

    def _trigger(self, label: str, transition: Callable[[], TransitionCallbackReturn]) -> TransitionCallbackReturn:
        with self._change_lock:
            if self._allows(label):
                return transition()
            self._refuse_transition(label)
        return TransitionCallbackReturn.FAILURE

    def _allows(self, transition: str | int) -> bool:
        """Tell whether a transition, by label or number, leads out of the present state."""
        allowed = any(transition in each[:2] for each in self._state_machine.available_transitions)
        if allowed:
            self._refusals.clear()
        return allowed

    def _refuse_transition(self, transition: str) -> None:
        name = transition.encode("unicode_escape").decode()[:MAX_LABEL]
        refused = f"transition {name} is not allowed in state {self.state}: refused"
        if refused not in self._refusals and len(self._refusals) < MAX_REFUSALS:
            self._refusals.add(refused)
            self.get_logger().warning(refused)
