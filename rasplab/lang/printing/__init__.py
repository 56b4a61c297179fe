"""Programs, texts and values -> text.

`unparse` writes a program as RASP, `format` lays a RASP text out, `transcript` shows values as the
reference REPL does.
"""
