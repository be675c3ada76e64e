"""From media files to datasets of tokens, and from those back to media."""
