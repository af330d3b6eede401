"""Valid and invalid client frames, byte by byte: RFC 6455 section 5.2."""

from __future__ import annotations

MASK = b"\x37\xfa\x21\x3d"


def raw_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length_bytes: int | None = None,
    declared: int | None = None,
) -> bytes:
    """Return a frame; the keywords change its header.

    Args:
        opcode: 0 to 15.
        payload: the payload, unmasked.
        fin: whether it is the last fragment.
        rsv: the three reserved bits, 0 to 7.
        mask: the key; None leaves it out.
        length_bytes: 0, 2 or 8 bytes of extended length; the shortest by default.
        declared: the length in the header; that of the payload by default.
    """
    length = len(payload) if declared is None else declared
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 65_536 else 8
    code = {0: length, 2: 126, 8: 127}[length_bytes]
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if mask else 0) | code])
    head += length.to_bytes(length_bytes, "big") if length_bytes else b""
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
