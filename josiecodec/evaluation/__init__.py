"""Comparison of codecs on the same files: sizes as written, means with intervals, a page with players.

names of codecs (`codecs`) -> encode and decode, one file after the other (`round_trip`) -> files on disk
files on disk -> scores, several processes (`scores`) -> rows (`table`) -> means, JSON, CSV (`table`), page (`page`)
"""
