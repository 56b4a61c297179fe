"""RASP written in Python: `rasplab.lang.dsl.library`, with `abs`, `max`, `min` and `sum`."""

from rasplab.lang.dsl.library import *  # noqa: F403
from rasplab.lang.dsl.library import __all__ as __all__
from rasplab.lang.dsl.library import abs as abs
from rasplab.lang.dsl.library import max as max
from rasplab.lang.dsl.library import min as min
from rasplab.lang.dsl.library import sum as sum
