"""What a process and all its children ask of the system, as strace sees it (Linux)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# "?": not every processor's Linux has it.
_TRACED = "connect,sendto,sendmsg,sendmmsg,openat,?open,?creat,?mkdir,mkdirat"
_ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
# What only the look-up of a name has a use for.
_LOOKUP = re.compile(r'"/etc/(resolv\.conf|hosts)"|systemd/resolve|avahi|htons\((53|853)\)')
_MADE_IN = re.compile(r'(?:openat|mkdirat)\((?:AT_FDCWD|\d+)<([^>]*)>, "([^"]*)"')
_MADE = re.compile(r'\b(?:open|creat|mkdir)\(()"([^"]*)"')


@cache
def why_no_trace() -> str | None:
    """Say why nothing can be traced here; None where it can."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        return "needs strace (Linux; Debian's package strace)"
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False
    )
    return None if tried.returncode == 0 else "processes may not be traced here (ptrace)"


@dataclass
class Calls:
    """What a process tree did that others could notice."""

    left: list[str] = field(default_factory=list)
    """Connections and datagrams to addresses that are not this machine's loopback."""
    lookups: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    """Files and folders made elsewhere than in the run's own folder and for temporary files."""
    home: list[str] = field(default_factory=list)
    """What lies in the home, which was empty before."""


def run_in_empty_home(
    command: Sequence[str], folder: Path
) -> tuple[subprocess.CompletedProcess[str], Calls]:
    """Run a command with nothing set that would silence a library, and follow all its processes.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Gets the folders `work` (where it runs), `home` and `tmp`.
    """
    work, home, temporary = (folder / name for name in ("work", "home", "tmp"))
    for made in (work, home, temporary):
        made.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary), "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "Training"), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "QT_QPA_PLATFORM": "offscreen",
    }  # fmt: skip
    log = folder / "system-calls.txt"
    tracer = ["strace", "-f", "--seccomp-bpf", "-y", "-o", str(log), "-e", f"trace={_TRACED}"]
    done = subprocess.run(
        [*tracer, *command], env=environment, cwd=work, capture_output=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    calls = _read(log, work, [str(work), str(temporary)])
    calls.home = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
    return done, calls


def _read(log: Path, work: Path, allowed: Sequence[str]) -> Calls:
    calls = Calls()
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in (line.strip() for line in lines):
            if any(not _is_loopback(a or b) for a, b in _ADDRESS.findall(line)):
                calls.left.append(line)
            if _LOOKUP.search(line):
                calls.lookups.append(line)
            made = _MADE_IN.search(line) or _MADE.search(line)
            if made and ("O_CREAT" in line or "open" not in line):
                path = os.path.normpath(Path(made[1] or work, made[2]))
                if not _is_allowed(path, allowed):
                    calls.made.append(line)
    return calls


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _is_allowed(path: str, allowed: Sequence[str]) -> bool:
    return (
        path.startswith(("/dev/", "/proc/", "/var/lib/libuuid/"))
        or any(path == root or path.startswith(f"{root}/") for root in allowed)
        # A folder that an allowed one lies in was there before.
        or any(root.startswith(f"{path}/") for root in allowed)
    )
