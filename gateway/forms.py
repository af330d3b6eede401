"""Forms of an order, position or trade event: the owner sees all of it, the room a part."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from gateway.contract import Subject

_ID_BYTES: Final = 12


def public_form(subject: Subject, data: Mapping[str, Any], *, key: bytes) -> dict[str, Any]:
    """Return the part of an event that everybody may see (contract: public form).

    Args:
        subject: what the event is about.
        data: the owner's form.
        key: 1 to 64 bytes, new for each process. Within a process equal ids have equal hashes;
            nobody can tell the id from the hash.

    Returns:
        The subject with its public fields, as far as the owner's form has them.

    Raises:
        KeyError: the data do not carry the subject.
    """
    private: Mapping[str, Any] = data[subject.key]
    public = {field: private[field] for field in subject.public if field in private}
    private_id = public.pop("id", None)
    if private_id is not None:
        public = {"id": _public_id(subject.key, private_id, key), **public}
    return {subject.key: public}


def _public_id(subject: str, private_id: object, key: bytes) -> str:
    digest = hashlib.blake2b(
        str(private_id).encode(), key=key, person=subject.encode(), digest_size=_ID_BYTES
    )
    return digest.hexdigest()
