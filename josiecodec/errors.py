"""The errors that the toolkit raises on purpose. Catch `CodecError` to catch them all."""


class CodecError(Exception):
    """Base of every error that bad input, a bad file or a wrong setting can cause."""


class ConfigError(CodecError):
    """A configuration has an unknown key, a missing one, or a value out of range."""


class MediaError(CodecError):
    """An audio, image or video file cannot be read or written."""


class FormatError(CodecError):
    """A `.josie` file (or a token shard) is damaged, truncated or of an unknown version."""


class ModelError(CodecError):
    """A model or its weights cannot be found, or do not fit the file at hand."""


class CodesError(CodecError, ValueError):
    """Codes or samples given to a codec have the wrong shape, type or range."""
