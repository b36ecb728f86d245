"""Train on two "hosts" of one machine: two network namespaces, joined by a virtual cable.

    python scripts/two_hosts.py task=ner,sentiment trainer.max_steps=20 hydra.run.dir=/tmp/two

What follows the script's name goes to ``train.py``, which torchrun starts on both hosts as it would
on two machines: each has a network of its own, its own loopback, and reaches the other at
10.77.0.1 and 10.77.0.2 only. Nothing stays behind. It needs Linux, `ip`, and leave to make
namespaces (root, or user namespaces).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SCRIPT = Path(__file__).resolve()
ROOT = SCRIPT.parents[1]
INSIDE = "--inside"
OWN = ["unshare", "--user", "--map-root-user", "--net"]
HOSTS = ("10.77.0.1", "10.77.0.2")
PORT = "29400"
FORBIDDEN = 77
"""Exit code where namespaces cannot be made."""


def main(argv: Sequence[str]) -> int:
    """Run ``train.py`` on two hosts and return the first exit code that is not 0."""
    if argv[:1] == [INSIDE]:
        return _inside(argv[1:])
    if not possible():
        print("error: Expected leave to make network namespaces, but got none.", file=sys.stderr)
        return FORBIDDEN
    return subprocess.run(
        [*OWN, sys.executable, str(SCRIPT), INSIDE, *argv], check=False
    ).returncode


def possible() -> bool:
    """Return whether this machine lets us make namespaces and join them."""
    if sys.platform != "linux" or not (shutil.which("unshare") and shutil.which("ip")):
        return False
    probe = [*OWN, "ip", "link", "add", "a0", "type", "veth", "peer", "name", "b0"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _inside(argv: Sequence[str]) -> int:
    """Be the first host, make the second, and run torchrun on both."""
    other = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    try:
        there = ["nsenter", f"--net=/proc/{other.pid}/ns/net"]
        _wait_for_network(other.pid)
        _ip("link add a0 type veth peer name b0")
        _ip(f"link set b0 netns {other.pid}")
        for prefix, device, address in (([], "a0", HOSTS[0]), (there, "b0", HOSTS[1])):
            _ip("link set lo up", prefix)
            _ip(f"addr add {address}/24 dev {device}", prefix)
            _ip(f"link set {device} up", prefix)
        running = [
            _torchrun(0, [], "a0", argv),
            _torchrun(1, there, "b0", argv),
        ]
        codes = [process.wait() for process in running]
    finally:
        other.kill()
        other.wait()
    return next(filter(None, codes), 0)


def _wait_for_network(pid: int) -> None:
    """Wait until a new process has left our network for its own."""
    ours = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{pid}/ns/net") == ours:
        time.sleep(0.01)


def _ip(words: str, prefix: Sequence[str] = ()) -> None:
    subprocess.run([*prefix, "ip", *words.split()], check=True)


def _torchrun(
    node: int, prefix: Sequence[str], device: str, argv: Sequence[str]
) -> subprocess.Popen[bytes]:
    command = [
        *prefix,
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes=2",
        f"--node-rank={node}",
        "--nproc-per-node=1",
        f"--master-addr={HOSTS[0]}",
        f"--master-port={PORT}",
        str(ROOT / "train.py"),
        *argv,
    ]
    usual = {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env={**usual, **os.environ, "GLOO_SOCKET_IFNAME": device})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
