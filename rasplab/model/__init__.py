"""Models in TransformerLens, compiled and trained alike, and their check by the interpreter."""
