"""``python -m casemate_mock``."""

import sys

from casemate_mock.cli import main

if __name__ == "__main__":
    sys.exit(main())
