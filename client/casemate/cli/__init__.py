"""The ``casemate`` command line."""

from casemate.cli.main import main

__all__ = ["main"]
