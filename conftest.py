"""Makes a bare checkout testable: without an install, ``parcours`` is this folder.

Worker processes do not see this file; tests that start some need ``pip install -e .``: make test does it.
"""

import importlib.util
import sys
import types
from pathlib import Path

if importlib.util.find_spec("parcours") is None:
    namespace = types.ModuleType("parcours")
    namespace.__path__ = [str(Path(__file__).parent)]
    sys.modules["parcours"] = namespace
