"""The version of this project stands here, where everybody may read it: `"0.1.0"`."""

__version__ = "0.1.0"
