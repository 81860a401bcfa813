"""Signals: they wake the consumers of a topic, and carry its end offsets."""

from services.kernel.kafka.signals import NO_SIGNALS, TopicSignals

CONSENT, REFERRAL = "samspil.consent.v1", "samspil.referral.v1"


def test_a_signal_is_raised_for_its_topics_alone() -> None:
    """A consumer of several topics has one signal."""
    signals = TopicSignals()
    both, one = signals.subscribe([CONSENT, REFERRAL]), signals.subscribe([REFERRAL])

    signals.notify(CONSENT, {0: 3})

    assert (both.raised.is_set(), one.raised.is_set()) == (True, False)


def test_a_signal_carries_the_end_offset_of_each_partition() -> None:
    """The latest end of each partition stands."""
    signals = TopicSignals()
    signal = signals.subscribe([CONSENT])

    signals.notify(CONSENT, {0: 3, 1: 5})
    signals.notify(CONSENT, {0: 4})

    assert signal.ends == {(CONSENT, 0): 4, (CONSENT, 1): 5}


def test_a_signal_stays_raised_until_it_is_lowered() -> None:
    """What is sent while a consumer works is not missed when it waits again."""
    signals = TopicSignals()
    signal = signals.subscribe([CONSENT])

    signals.notify(CONSENT, {0: 1})
    signal.raised.clear()
    signals.notify(CONSENT, {0: 2})

    assert signal.raised.is_set()


def test_an_unsubscribed_signal_is_not_raised() -> None:
    """A consumer that has stopped is not woken, and stopping twice is harmless."""
    signals = TopicSignals()
    signal = signals.subscribe([CONSENT])
    signals.unsubscribe(signal)
    signals.unsubscribe(signal)

    signals.notify(CONSENT, {0: 1})

    assert not signal.raised.is_set()
    assert signal.ends == {}


def test_production_has_no_signals() -> None:
    """Consumers poll."""
    NO_SIGNALS.notify(CONSENT, {0: 1})

    assert NO_SIGNALS.subscribe([CONSENT]) is None
