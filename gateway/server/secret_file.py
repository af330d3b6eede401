"""Reads the files that ``NAME_FILE`` variables name, such as Docker's and Kubernetes' secrets."""

from __future__ import annotations

import os
import stat
from typing import Final

_MOST_BYTES: Final = 65_536


def read_secret_file(path: str) -> str:
    """Return the text of a file, without one line end at its end.

    Bytes that are not UTF-8 become lone surrogates, as in a variable of the environment.

    Raises:
        ValueError: it cannot be read, is not a regular file or is too large. The message quotes
            neither the path nor the text.
    """
    try:
        # A pipe without a writer must not block the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    except ValueError:  # a null character, or a lone surrogate
        raise ValueError("must be the path of a file") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("must be the path of a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"the file must have at most {_MOST_BYTES} bytes")
    text = data.decode(errors="surrogateescape").removesuffix("\n")
    return text.removesuffix("\r") if data.endswith(b"\r\n") else text
