"""Keys, addresses, names, and JSON."""

from __future__ import annotations

import json
import math
import socket
import sys
from pathlib import Path

import pytest

from mtl.cli.app import main
from mtl.cli.verbs.serve import by_name, check_installed
from mtl.errors import ConfigError
from mtl.serving.output import event, to_json
from mtl.serving.run import listen
from mtl.serving.settings import KEY, read_key, unsafe


def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    assert read_key(None) is None
    monkeypatch.setenv(KEY, "0123456789abcdef")
    assert read_key(None) == "0123456789abcdef"
    file = tmp_path / "key"
    file.write_text("fedcba9876543210\n")
    assert read_key(file) == "fedcba9876543210"
    for text in ("", "short", "with a space in it"):
        file.write_text(text)
        with pytest.raises(ConfigError, match="at least 16"):
            read_key(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "none")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_loopback_needs_no_key(host: str) -> None:
    assert unsafe(host, None) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_other_addresses_without_a_key_are_said_aloud(host: str) -> None:
    assert host in (unsafe(host, None) or "")
    assert unsafe(host, "0123456789abcdef") is None


def test_names_of_models() -> None:
    assert by_name(["/tmp/outputs/news"]) == {"news": "/tmp/outputs/news"}
    assert by_name(["a=one", "b=two=2"]) == {"a": "one", "b": "two=2"}
    for runs, words in (
        (["/tmp/one", "two"], r"Write one=/tmp/one\."),
        (["a=one", "a=two"], "a name of its own"),
        (["=one", "b=two"], "a name before its ="),
        (["a="], "a folder behind its ="),
    ):
        with pytest.raises(ConfigError, match=words):
            by_name(runs)


def test_ports_that_are_taken() -> None:
    taken = listen("127.0.0.1", 0)
    with taken, pytest.raises(ConfigError, match="`--port` to be free"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigError, match="`--host` to be an address"):
        listen("no.such.host.invalid", 0)
    with pytest.raises(ConfigError, match=r"`--host` to be .*got '192\.0\.2\.1'"):
        listen("192.0.2.1", 0)  # Kept for documentation: no machine has it (RFC 5737).


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigError, match=r"no uvicorn.*pip install 'mtl\[serve\]'"):
        check_installed()


def test_json_is_strict() -> None:
    assert json.loads(to_json({"a": [math.inf, 1.5, "日本"]})) == {"a": [None, 1.5, "日本"]}
    assert json.loads(to_json("\ud800")) == "\ud800"
    assert event("piece", {"a": "b\nc"}) == b'event: piece\ndata: {"a":"b\\nc"}\n\n'


def test_a_port_is_given_back_where_no_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[socket.socket] = []

    def kept(host: str, port: int) -> socket.socket:
        given.append(listen(host, port))
        return given[-1]

    monkeypatch.setattr("mtl.serving.run.listen", kept)
    with pytest.raises(SystemExit):
        main(["serve", str(tmp_path), "--port", "0"])
    (bound,) = given
    assert bound.fileno() == -1
