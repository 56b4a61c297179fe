"""Models in TransformerLens: compiled and trained ones alike,
and the check against the interpreter."""
