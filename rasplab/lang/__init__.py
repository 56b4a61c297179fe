"""The language: RASP text -> Program -> text."""
