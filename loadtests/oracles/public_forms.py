"""Compare the public form of an event with what its owner was told. Pure.

The two have one number. Whichever comes first waits for the other, and the oldest are forgotten.
An event whose owner is a user of another process is not judged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import EVENTS, Audience

_MOST: Final = 20_000
_ID: Final = "id"

_Told = tuple[str, Mapping[str, Any]]


class PublicForms:
    """The events of all users of a process that have two forms.

    Attributes:
        checked: public forms that were compared.
    """

    def __init__(self) -> None:
        self.checked = 0
        self._owned: OrderedDict[int, _Told] = OrderedDict()
        self._public: OrderedDict[int, _Told] = OrderedDict()

    def take(self, event: str, payload: Mapping[str, Any]) -> str | None:
        """Take an event in either form: the owner's has ``userSeq``.

        Args:
            event: its name; one without two forms is not judged.
            payload: as it came.

        Returns:
            How the forms differ, for a human; None when they agree or one is missing.
        """
        row, number = EVENTS.get(event), payload.get("seq")
        if row is None or row.audience is not Audience.OWNER_AND_PUBLIC or number is None:
            return None
        is_owned = "userSeq" in payload
        own, other = (self._owned, self._public) if is_owned else (self._public, self._owned)
        found = other.get(number)
        if is_owned or found is None:  # one owner, any number of others
            _keep(own, number, (event, payload))
        if found is None:
            return None
        self.checked += 1
        told = (event, payload)
        return _difference(number, told, found) if is_owned else _difference(number, found, told)


def _keep(table: OrderedDict[int, _Told], number: int, told: _Told) -> None:
    table[number] = told
    if len(table) > _MOST:
        table.popitem(last=False)


def _difference(number: int, owned: _Told, public: _Told) -> str | None:
    event, payload = owned
    if public[0] != event:
        return f"number {number} is {event} to its owner, {public[0]} to others"
    subject = EVENTS[event].subject
    if subject is None:
        return None
    whole, shown = payload[subject.key], public[1].get(subject.key, {})
    for field in subject.public:
        if field == _ID:
            if shown.get(_ID) in (None, whole.get(_ID)):
                return f"number {number}: the public id of {event} is missing, or the owner's"
        elif whole.get(field) != shown.get(field):
            told = f"{whole.get(field)!r} to its owner, {shown.get(field)!r} to others"
            return f"number {number}: {field} of {event} is {told}"
    return None
