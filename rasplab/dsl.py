"""RASP written in Python: the names of `rasplab.lang.dsl.library`, `max` and `min` included."""

from rasplab.lang.dsl.library import *  # noqa: F403
from rasplab.lang.dsl.library import __all__ as __all__
from rasplab.lang.dsl.library import max as max
from rasplab.lang.dsl.library import min as min
