#!/usr/bin/env python3
"""The benchmark's runner; tools/bench installs and builds what it needs, then calls this."""
import sys

from runner import cli

sys.exit(cli.main(sys.argv[1:]))
