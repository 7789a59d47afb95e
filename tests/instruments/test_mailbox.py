"""Losses from a device come in order, and the host waits for none that it need not have."""

import torch

from fathometer.instruments.recorder_mailbox import Mailbox


class Event:
    """Stands in for torch.cuda.Event: arrived or not, and how often it was waited for."""

    def __init__(self, has_arrived: bool) -> None:
        self.has_arrived, self.waits = has_arrived, 0

    def query(self) -> bool:
        """Return whether it has arrived."""
        return self.has_arrived

    def synchronize(self) -> None:
        """Wait for it."""
        self.has_arrived, self.waits = True, self.waits + 1


def test_the_host_waits_only_where_it_is_asked_to() -> None:
    """What has arrived is collected without a wait; what has not stays, with all behind it, until the end."""
    mailbox, events = Mailbox(), [Event(True), Event(False), Event(True)]
    mailbox._waiting.extend((step, torch.tensor(float(step)), event) for step, event in enumerate(events, 1))

    assert mailbox.collect() == [(1, 1.0)]
    assert [event.waits for event in events] == [0, 0, 0]
    assert mailbox.collect(wait=True) == [(2, 2.0), (3, 3.0)]
    assert [event.waits for event in events] == [0, 1, 0]
