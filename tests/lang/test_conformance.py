"""The REPL against records of the reference: the same transcript, but for named deviations."""

from __future__ import annotations

import io
import json
import tomllib
from functools import cache
from pathlib import Path

import pytest

from rasplab.apps.repl.loop import main

FOLDER = Path(__file__).parents[1] / "conformance"
DEVIATIONS = tomllib.loads((FOLDER / "deviations.toml").read_text(encoding="utf-8"))
FAULT_MARKS = (
    "something went wrong",
    "antlr exception",
    "!!ignoring input",
    "not implemented",
    "evaluation failed in",
)


@cache
def records() -> list[dict]:
    """Every record, in order."""
    lines = (FOLDER / "rasp.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def rasp(value) -> str:
    """A record's input as RASP text."""
    if isinstance(value, list):
        return f"[{', '.join(rasp(v) for v in value)}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def transcript(lines: list[str]) -> str:
    """What the REPL prints for these lines, to the end of the input."""
    out = io.StringIO()
    assert main(io.StringIO("".join(f"{line}\n" for line in lines)), out) == 0
    return out.getvalue()


def printed(record: dict) -> str:
    """What the REPL prints for the record's last input, without the prompts around it."""
    before = [] if record["input"] in (None, "hello") else [f"set example {rasp(record['input'])}"]
    before += record["program"].split("\n") if record["program"] else []
    start = transcript(before)
    whole = transcript(before + record["expr"].split("\n"))
    assert start.endswith("\n") and whole.startswith(start[:-1])
    return whole[len(start) - 1 :].removesuffix(">> \n")


def agrees(record: dict) -> bool:
    """Whether our answer is the recorded one: to the byte, or in the class of its fault."""
    ours, theirs = printed(record), record["printed"]
    if record["compare"] == "exact":
        return ours == theirs
    return any(mark in ours and mark in theirs for mark in FAULT_MARKS)


@pytest.mark.parametrize("record", records(), ids=lambda r: r["id"])
def test_record(record, tmp_path, monkeypatch):
    """A record that is no deviation is answered as recorded; one that is, is not."""
    monkeypatch.chdir(tmp_path)
    for name, text in (record.get("files") or {}).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    listed = record["id"] in DEVIATIONS["deviations"] or record["id"] in DEVIATIONS["not_yet"]
    ours = printed(record)
    assert agrees(record) != listed, f"{record['program']}\n{record['expr']}\n{ours!r}"


def test_deviations_are_few():
    """At most one record in twenty deviates, each with a reason, and each exists."""
    listed = {**DEVIATIONS["deviations"], **DEVIATIONS["not_yet"]}
    assert len(listed) <= len(records()) / 20
    assert set(listed) <= {r["id"] for r in records()}
    assert all(len(reason) > 20 for reason in listed.values())
