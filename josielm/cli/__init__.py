"""The command line of josielm."""
