"""Texts as SQL literals."""


def literal(text: str) -> str:
    """Write a text as an SQL literal. NUL stands apart: it would end the statement."""
    return "'" + text.replace("'", "''").replace("\0", "' || chr(0) || '") + "'"
