"""`python -m modelwright` is the command line."""

import sys

from modelwright.cli import main

sys.exit(main())
