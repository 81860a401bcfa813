"""The send buffer holds what this process has committed, the latest of it, for one leadership."""

from services.kernel.decider.service import EventMetadata
from services.kernel.kafka.cloudevents import OutgoingEvent
from services.kernel.outbox.send_buffer import Committed, SendBuffer
from tests.tally import START


def committed(*log_ids: int) -> list[Committed]:
    """Return events of one transaction by their log ids."""
    meta = EventMetadata(START, "", "", "", "")
    return [
        (at, OutgoingEvent(str(at), "stream", at, "0440", "consent.given.v1", meta, b"{}")) for at in log_ids
    ]


def opened(capacity: int = 10) -> SendBuffer:
    """Return the buffer of a relay that leads."""
    buffer = SendBuffer(capacity)
    buffer.open()
    return buffer


def test_an_event_is_returned_once() -> None:
    """What was popped is sent, and needed no more."""
    buffer = opened()
    ((log_id, event),) = committed(7)
    buffer.enqueue([(log_id, event)])

    assert [buffer.pop(7), buffer.pop(7)] == [event, None]


def test_an_unknown_event_is_not_there() -> None:
    """It is read from the log."""
    assert SendBuffer().pop(1) is None


def test_the_oldest_leave_a_full_buffer() -> None:
    """Memory is bounded, whatever the relay waits for."""
    buffer = opened(capacity=3)
    buffer.enqueue(committed(1, 2))
    buffer.enqueue(committed(3, 4, 5))

    assert len(buffer) == 3
    assert [buffer.pop(at) is None for at in (1, 2, 3, 4, 5)] == [True, True, False, False, False]


def test_an_empty_transaction_adds_nothing() -> None:
    """It only wakes the relay."""
    buffer = opened()
    buffer.enqueue(())

    assert len(buffer) == 0
    assert buffer.wakeup.is_set()


def test_a_relay_that_does_not_lead_holds_nothing_and_wakes() -> None:
    """Another process sends these events; this one may be about to lead."""
    buffer = SendBuffer()
    buffer.enqueue(committed(1, 2))

    assert len(buffer) == 0
    assert buffer.wakeup.is_set()


def test_nothing_outlives_a_leadership() -> None:
    """Another database may have given the same log ids to other events."""
    buffer = opened()
    buffer.enqueue(committed(1, 2))
    buffer.close()
    buffer.enqueue(committed(3))

    assert len(buffer) == 0
