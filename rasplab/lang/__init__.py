"""The language: text to syntax, syntax to program, values to text (floor 2)."""
