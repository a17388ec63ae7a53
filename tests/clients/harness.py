"""Runs every client suite straight and through Sealgate, compares the results, prints a table.

A case passes when the straight result equals `expected/<client>.json` (so that a suite that fails in the same way
twice does not pass) and the result through Sealgate equals the straight one. `--bless` rewrites the expectations from
the straight results; `--direct-only` leaves Sealgate out and says so in every line.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import gateway
from mock_vendor import MockVendor

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = [(vendor, language) for vendor in ("openai", "anthropic") for language in ("python", "node")]
# A run of one suite takes 12 s straight on two busy cores.
SUITE_WITHIN_S = 240
# Keys that say plainly what they are; the mock answers 401 to anything else.
KEYS = {"openai": "mock-vendor-key-for-openai", "anthropic": "mock-vendor-key-for-anthropic"}
# aimock makes up ids, timestamps and token counts per request: those are left out of its comparison.
AIMOCK_CASES = "chat,unicode,stream,stream_unicode,tools,stream_tools,structured,error_429,error_500,concurrent_50"
# What the SDKs say about the machine (operating system, interpreter) is in this digest: compared, never expected.
MACHINE_BOUND = {"x-mock-arrived"}
AIMOCK_VARYING = {"id", "request_id", "requestID", "usage"}


def run_suite(vendor, language, base_url, key, label, folder, cases=""):
    """Runs one suite: {case: result}."""
    out = folder / f"{vendor}-{language}-{label}.jsonl"
    head = [sys.executable, HERE / "python/suite.py"] if language == "python" else ["node", HERE / "node/suite.mjs"]
    command = [*map(str, head), "--client", vendor, "--base-url", base_url, "--key", key, "--label", label,
               "--out", str(out), "--cases", cases]
    # The SDKs read keys, base URLs and log levels from the environment: none may leak in.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_")) and "PROXY" not in k.upper()}
    done = subprocess.run(command, env=env, timeout=SUITE_WITHIN_S, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise gateway.Broken(f"{vendor}-{language} ({label}) exited with {done.returncode}: {done.stderr[-1500:]}")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {line["case"]: line["result"] for line in lines}


def without(value, names):
    """The value without the named keys, at any depth."""
    if isinstance(value, dict):
        return {k: without(v, names) for k, v in value.items() if k not in names}
    return [without(v, names) for v in value] if isinstance(value, list) else value


def difference(one, other, path=""):
    """The first place where two results differ, in one line."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return difference(one.get(key), other.get(key), f"{path}/{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (a, b) in enumerate(zip(one, other)):
            if a != b:
                return difference(a, b, f"{path}/{i}")
    return f"{path or '/'}: {json.dumps(one, ensure_ascii=False)[:200]} became {json.dumps(other, ensure_ascii=False)[:200]}"


class Table:
    """Verdicts, printed as they come."""

    def __init__(self):
        self.passed = self.failed = 0

    def row(self, case, client, direct, through, note=""):
        """One line; anything but `ok`, `same` and `-` is a failure."""
        good = direct in ("ok", "-") and through in ("same", "ok", "-")
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        print(f"{case:<24} {client:<24} {direct:<10} {through:<10} {note}".rstrip(), flush=True)


def compare(table, client, direct, through, expected):
    """Rows for one client: `through` may be None (not run), `expected` may be None (not held)."""
    for case in sorted({*direct, *(through or {}), *(expected or {})}):
        found, note = direct.get(case), ""
        left = "ok"
        if found is None or (isinstance(found, dict) and "unexpected" in found):
            left, note = "failed", json.dumps(found)[:300]
        elif expected is not None and without(found, MACHINE_BOUND) != expected.get(case):
            left, note = "changed", difference(expected.get(case), without(found, MACHINE_BOUND))
        right = "-"
        if through is not None:
            right = "same" if case in through and through[case] == found else "differs"
            note = note or (difference(found, through.get(case)) if right == "differs" else "")
        table.row(case, client, left, right, note)


def own_mock(table, folder, options):
    """All four clients against our mock vendor, straight and through Sealgate."""
    straight = MockVendor(KEYS).start()
    direct = {}
    for vendor, language in CLIENTS:
        direct[vendor, language] = run_suite(vendor, language, straight.url, KEYS[vendor], "direct", folder)
    through = {}
    if not options.direct_only:
        behind = MockVendor(KEYS).start()
        with gateway.Gateway(folder / "gateway", behind.url, KEYS) as sealgate:
            behind.forbidden = [sealgate.token.encode()]
            for vendor, language in CLIENTS:
                through[vendor, language] = run_suite(
                    vendor, language, f"{sealgate.url}/{vendor}", sealgate.token, "through", folder)
            verify_run(table, sealgate, behind)
    for vendor, language in CLIENTS:
        name = f"{vendor}-{language}"
        path = HERE / "expected" / f"{name}.json"
        if options.bless:
            kept = without(direct[vendor, language], MACHINE_BOUND)
            path.write_text(json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        expected = json.loads(path.read_text()) if path.is_file() else {}
        compare(table, name, direct[vendor, language], through.get((vendor, language)), expected)


def verify_run(table, sealgate, behind):
    """What must hold after all suites went through: credentials replaced, drain in order, the log whole."""
    def check(name, good, note=""):
        table.row(name, "gateway", "-", "ok" if good else "failed", "" if good else note)

    check("token never arrives", behind.leaks == 0, f"{behind.leaks} requests held the Sealgate token")
    check("vendor key arrives", behind.wrong_keys == 0, f"{behind.wrong_keys} requests came without the vendor key")
    running = sealgate.cli("records", "verify")
    check("verify while running", running.returncode == 0 and running.stdout.startswith("OK"),
          f"exit {running.returncode}: {(running.stdout + running.stderr)[:300]}")
    code = sealgate.stop()
    check("drains on SIGTERM", code == 0, f"exit {code}: {sealgate.stderr()[-300:]}")
    stopped = sealgate.cli("records", "verify")
    check("verify when stopped", stopped.returncode == 0 and stopped.stdout.startswith("OK"),
          f"exit {stopped.returncode}: {(stopped.stdout + stopped.stderr)[:300]}")


def aimock(table, folder, options):
    """The same suites against a mock vendor that nobody here wrote."""
    port = gateway.free_port()
    command = ["node", str(HERE / "node/node_modules/.bin/llmock"), "-p", str(port), "-f",
               str(HERE / "aimock-fixtures.json")]
    with open(folder / "aimock.log", "wb") as log:
        mock = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", mock, folder / "aimock.log")
        base = f"http://127.0.0.1:{port}"
        direct = {c: run_suite(*c, base, "aimock", "direct", folder, AIMOCK_CASES) for c in CLIENTS}
        through = {}
        if not options.direct_only:
            with gateway.Gateway(folder / "gateway-aimock", base, KEYS) as sealgate:
                through = {c: run_suite(*c, f"{sealgate.url}/{c[0]}", sealgate.token, "through", folder, AIMOCK_CASES)
                           for c in CLIENTS}
        for client in CLIENTS:
            compare(table, f"{'-'.join(client)}-aimock", without(direct[client], AIMOCK_VARYING),
                    without(through[client], AIMOCK_VARYING) if through else None, None)
    finally:
        mock.terminate()
        mock.wait(10)


def wait_for(url, process, log):
    """Waits until something answers there."""
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise gateway.Broken(f"aimock did not start: {log.read_text()[-500:]}")


def main():
    """Exit code 0 when every row passes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--direct-only", action="store_true", help="leave Sealgate out: checks the suites alone")
    parser.add_argument("--bless", action="store_true", help="rewrite expected/ from the straight results")
    parser.add_argument("--keep", help="work in this folder and leave it there")
    options = parser.parse_args()
    table = Table()
    print(f"{'case':<24} {'client':<24} {'direct':<10} {'through':<10}")
    with tempfile.TemporaryDirectory(prefix="sealgate-clients-") as scratch:
        folder = pathlib.Path(options.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for part in (own_mock, aimock):
            try:
                part(table, folder, options)
            except (gateway.Broken, subprocess.TimeoutExpired) as error:
                table.row(part.__name__, "all", "failed", "-", str(error))
    print(f"{table.passed} passed, {table.failed} failed")
    return 0 if table.failed == 0 and table.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
