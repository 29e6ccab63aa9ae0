"""`python -m tests.worlds`."""

import sys

from tests.worlds.command import main

sys.exit(main())
