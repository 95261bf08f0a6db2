"""Measures the packages of the functions: how large each is when it is zipped, and how long it takes from its start until
it first asks the runtime API for work. Fails where a limit is passed.

    python tests/packages.py FOLDER [--runs 15]

FOLDER is where cargo lambda puts the functions: one folder for each, with a `bootstrap` in it.
"""

import argparse
import io
import os
import platform
import socket
import statistics
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

# A package is loaded at every cold start, and large ones take longer.
MEGABYTES_MAX = 5.0
# What a function does before its first work is paid at every cold start. Beyond this it does more than it has to.
START_MS_MAX = 30.0
# No function that works takes so long.
START_S_MAX = 10.0
# A busy machine makes some starts slow, but not half of them.
RUNS = 15
NEXT = b"GET /2018-06-01/runtime/invocation/next"
# Machines of ELF files, by their number in the header.
MACHINES = {62: "x86_64", 183: "aarch64"}


def zipped(bootstrap: Path) -> float:
    """Megabytes (of 1,000,000 bytes) of a package, as cargo lambda and the AWS CLI compress it."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(bootstrap, "bootstrap")
    return len(package.getvalue()) / 1_000_000


def machine(bootstrap: Path) -> str | None:
    """What machine a function is for; None where it is no ELF file, such as a script."""
    header = bootstrap.open("rb").read(20)
    if header[:4] != b"\x7fELF":
        return None
    number = struct.unpack("<H", header[18:20])[0]
    return MACHINES.get(number, str(number))


def environment(address: str) -> dict[str, str]:
    """What Lambda gives a function. Nothing of this machine's own is passed on."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": "headroom",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        "STATE_TABLE": "state",
        "FORECASTS_TABLE": "forecasts",
        "DECISIONS_TABLE": "decisions",
    }


def started_ms(bootstrap: Path) -> float:
    """Milliseconds from the start of a function until it asks for work, in a runtime API that has none for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(START_S_MAX)
        address = "127.0.0.1:%d" % server.getsockname()[1]
        begun = time.perf_counter()
        process = subprocess.Popen(
            [bootstrap], env=environment(address), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(START_S_MAX)
                asked = connection.recv(4096)
                took = time.perf_counter() - begun
            if not asked.startswith(NEXT):
                raise SystemExit(f"{bootstrap} asked for {asked[:80]!r} and not for its first work")
            return took * 1_000
        except TimeoutError:
            process.kill()
            said = process.stderr.read().decode(errors="replace")[-500:]
            raise SystemExit(f"{bootstrap} did not ask for work in {START_S_MAX:.0f} s: {said}") from None
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--runs", type=int, default=RUNS)
    arguments = arguments.parse_args()
    bootstraps = sorted(arguments.folder.glob("*/bootstrap"))
    if not bootstraps:
        raise SystemExit(f"there are no functions in {arguments.folder}: build them with `make lambdas`")
    print(f"{'function':<18}{'zipped':>10}{'start':>10}   limits: {MEGABYTES_MAX} MB, {START_MS_MAX:.0f} ms")
    passed = []
    for bootstrap in bootstraps:
        name, megabytes = bootstrap.parent.name, zipped(bootstrap)
        if MEGABYTES_MAX < megabytes:
            passed.append(f"{name} has {megabytes:.2f} MB")
        if machine(bootstrap) in (None, platform.machine()):
            starts = [started_ms(bootstrap) for _ in range(arguments.runs)]
            start = statistics.median(starts)
            told = f"{start:.1f} ms"
            if START_MS_MAX < start:
                passed.append(f"{name} takes {start:.1f} ms to start")
        else:
            told = machine(bootstrap)
        print(f"{name:<18}{megabytes:>7.2f} MB{told:>10}", flush=True)
    for sentence in passed:
        print(f"above the limit: {sentence}", file=sys.stderr)
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
