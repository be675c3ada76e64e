"""The command line of josiecodec: parse, call the library, print."""
