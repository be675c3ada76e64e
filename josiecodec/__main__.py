"""`python -m josiecodec`: the command line, where its script is not on the path."""

from importlib import import_module

# By name, since the library itself knows nothing of the command line, which stands above it.
import_module("josiecodec_cli.main").main()
