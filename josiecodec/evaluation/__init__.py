"""Codecs beside each other: any codec, the same files, sizes as written, means with their intervals, a page to look at.

names of codecs (`codecs`) -> encode and decode, one file after the other (`produce`) -> files on disk
files on disk -> scores, several processes (`scores`) -> rows (`table`) -> means, JSON, CSV (`table`), page (`page`)
"""
