"""Hearing: who speaks (`speaker.py`), and when each word is said (`conformer.py`, `alignment.py`)."""
