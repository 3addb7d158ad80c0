"""Tells the publishers of a topic apart by the sequence numbers of their messages, and counts the missing numbers.

Each publisher counts its messages up by one. The middleware passes on the number without the publisher, so a message is
taken to continue the sequence after which the fewest numbers are missing. A number within a gap shows that the messages
after the gap came from another publisher, so that nothing was missing there. The first gap after a publisher joined is
the begin of its sequence: what it sent before was not meant for this subscription.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_PUBLISHERS = 4  # followed at a time; a further one takes the place of the one that was silent for longest
CONFIRMED_BY = 3  # later messages of a sequence; at fewer, the number after the gap may belong to another publisher
KEPT_GAPS = 8  # newest of a sequence, which a late number may still fill; publishers that join late fill the newest


@dataclass(frozen=True)
class _Gap:
    """Missing numbers between two. received: how many messages of the sequence had arrived when it appeared."""

    before: int
    after: int
    received: int

    @property
    def missing(self) -> int:
        return self.after - self.before - 1


@dataclass
class _Sequence:
    """The messages of one publisher. used: how many messages of all publishers had arrived with its last one."""

    last: int
    used: int
    received: int = 1
    gaps: list[_Gap] = field(default_factory=list)
    settled: int = 0  # missing numbers of gaps that are no longer kept

    @property
    def lost(self) -> int:
        return self.settled + sum(gap.missing for gap in self.gaps if self._is_confirmed(gap))

    def extend(self, number: int, used: int) -> None:
        self.received += 1
        if number > self.last + 1:
            self._add_gap(self.last, number)
        self.last, self.used = number, used

    def forgive(self) -> None:
        """Drop the gaps that are not confirmed yet."""
        self.gaps = [gap for gap in self.gaps if self._is_confirmed(gap)]

    def split(self, gap: _Gap, number: int, used: int) -> _Sequence:
        """Return the sequence before the gap, which `number` continues; what came after the gap stays."""
        self.gaps.remove(gap)
        other = _Sequence(gap.before, used)
        other.extend(number, used)
        return other

    def _is_confirmed(self, gap: _Gap) -> bool:
        return self.received - gap.received >= CONFIRMED_BY

    def _add_gap(self, before: int, after: int) -> None:
        self.gaps.append(_Gap(before, after, self.received))
        if len(self.gaps) > KEPT_GAPS:
            self.settled += self.gaps.pop(0).missing


class PublisherSequences:
    """Counts the numbers that are missing in the sequences of all publishers of a topic.

    returns: how often a message continued another sequence than the message before it. A publisher that takes the place
    of another one causes none or one; publishers that send at the same time cause one with almost every message.
    begun: places where, with the last message, another publisher began, or turned out to have sent what came before.
    """

    def __init__(self) -> None:
        self.returns = 0
        self.begun: tuple[int, ...] = ()
        self._sequences: dict[int, _Sequence] = {}  # by place, 0 to MAX_PUBLISHERS - 1
        self._received = 0
        self._place = 0  # of the last message
        self._settled = 0  # missing numbers of sequences that are no longer followed
        self._joined = 0  # publishers of which no number is known yet

    @property
    def lost(self) -> int:
        """How many numbers are missing; it falls when a gap proves to be none."""
        return self._settled + sum(sequence.lost for sequence in self._sequences.values())

    def join(self, publishers: int) -> None:
        """Take note of new publishers; of their messages, some may have arrived before this is known."""
        self._joined += publishers
        for sequence in self._sequences.values():
            sequence.forgive()

    def add(self, number: int) -> int:
        """Take the number of the next message; returns the place of its publisher, 0 to MAX_PUBLISHERS - 1."""
        self._received += 1
        ends = [(each.last, -each.used, place) for place, each in self._sequences.items() if each.last < number]
        gaps = [
            (gap.before, place, gap)
            for place, each in self._sequences.items()
            for gap in each.gaps
            if gap.before < number < gap.after
        ]
        end = max(ends, default=None)
        gap = max(gaps, key=lambda each: each[0], default=None)
        if gap is not None and (end is None or gap[0] > end[0]):
            self._place = self._follow(self._sequences[gap[1]].split(gap[2], number, self._received))
            self.begun = (gap[1], self._place)
        elif end is None or (self._joined > 0 and number > end[0] + 1):
            self._place = self._follow(_Sequence(number, self._received))
            self.begun = (self._place,)
        else:
            self.begun = ()
            self.returns += end[2] != self._place
            self._place = end[2]
            self._sequences[self._place].extend(number, self._received)
        return self._place

    def _follow(self, sequence: _Sequence) -> int:
        """Follow a further sequence; returns its place."""
        self._joined = max(0, self._joined - 1)
        place = len(self._sequences)
        if place == MAX_PUBLISHERS:
            place = min(self._sequences, key=lambda each: self._sequences[each].used)
            self._settled += self._sequences[place].lost
        self._sequences[place] = sequence
        return place
