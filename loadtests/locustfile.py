"""The Locust file of the laboratory.

``JWT_SECRET=… locust -f loadtests/locustfile.py --scenario smoke -H http://…``
takes Locust's own options: ``--headless`` or the web page, ``-u -r -t``, ``--csv``, ``--html``.
The scenario gives the defaults.
"""

from __future__ import annotations

import os

# NumPy's linear algebra, unused here, starts a thread for each core when it is imported. A
# process that --processes will fork must have no threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from locust import events

from loadtests.behaviours.registry import BEHAVIOURS
from loadtests.conducting.conductor import Conductor

# Locust takes its user classes from the names in this file.
globals().update({user_class.__name__: user_class for user_class in BEHAVIOURS.values()})
Conductor(BEHAVIOURS).listen(events)
