"""A signal ends a command once, wherever it arrives."""

import os
import signal

import pytest

from egotwin_ros.interrupts import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_and_later_ones_do_not(number):
    cleaned_up = False

    def work() -> None:
        nonlocal cleaned_up
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)
            cleaned_up = True

    with Interrupts() as interrupts:
        interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            work()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert cleaned_up


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_whose_exception_is_lost_is_still_reported():
    class Swallows:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with Interrupts() as interrupts:
        victim = Swallows()
        del victim
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_the_previous_handlers_are_restored():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
