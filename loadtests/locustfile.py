"""The Locust file of the laboratory.

``JWT_SECRET=… locust -f loadtests/locustfile.py --scenario scenarios/smoke.toml -H http://…``
works as any Locust file does: with the web page or ``--headless``, with ``-u -r -t``,
``--csv``, ``--html``. The scenario gives the defaults.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Locust puts this file's folder first on the path, where locust.py would hide
# Locust itself from whoever imports it next: the project's root takes its place.
_FOLDER = Path(__file__).resolve().parent
sys.path[:] = [
    str(_FOLDER.parent) if Path(entry).resolve() == _FOLDER else entry for entry in sys.path
]

# NumPy's linear algebra, which nothing here uses, starts a thread for each core when it is
# loaded; a process that --processes will fork must have none.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from locust import events  # noqa: E402 - only now does the name mean what it says

from loadtests.behaviours.cast import CAST  # noqa: E402 - as above
from loadtests.conducting.conductor import Conductor  # noqa: E402 - as above

# Locust takes its users from the names of this file.
globals().update({user_class.__name__: user_class for user_class in CAST.values()})
Conductor(CAST).listen(events)
