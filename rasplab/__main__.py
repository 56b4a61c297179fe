"""`python -m rasplab`: the command line."""

import sys

from rasplab.apps.cli.parser import main

sys.exit(main())
