"""Every bad input has its clear error; and the first five minutes of a new user."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import gateway
import logread
from mock_vendor import MockVendor

from . import KEYS, Failed, check, equal, expect, header, refused, wait_until

BODY_LIMIT_BYTES = 32 * 1024 * 1024
START_FAILS_WITHIN_S = 20


def fails_to_start(sealgate, code, *names):
    """The gateway must end by itself with that exit code and a message that holds each name."""
    sealgate.launch()
    try:
        found = sealgate.process.wait(START_FAILS_WITHIN_S)
    except subprocess.TimeoutExpired:
        sealgate.kill9()
        raise Failed(f"sealgate did not refuse to start ({names})") from None
    message = sealgate.stderr()
    equal(found, code, f"exit code ({message[-300:]!r})")
    for name in names:
        expect(name in message, f"the message does not name `{name}`: {message[-500:]!r}")
    expect("panicked" not in message, f"a panic: {message[-500:]!r}")
    return message


@check("bad configuration, port in use, unreadable keys, a bad Cedar rule: a clear error, exit 64 or 74")
def bad_starts(folder):
    url = "http://127.0.0.1:9"

    def fresh(name, extra="", **more):
        return gateway.Gateway(folder / name, url, KEYS, extra=extra, **more)

    fails_to_start(fresh("unknown", "[listen]\nfrobnicate = 1\n\n"), 64, "frobnicate", "sealgate.toml", "2")
    two = fails_to_start(fresh("two", '[limits]\nnonsense = 1\n\n[store]\ndurability = "maybe"\n\n'), 64, "nonsense", "durability")
    expect(len(two.strip().splitlines()) >= 2, f"not all errors at once: {two!r}")
    fails_to_start(fresh("syntax", "[listen\n"), 64, "sealgate.toml")
    missing = fresh("missing-key")
    (missing.folder / "openai.key").unlink()
    fails_to_start(missing, 74, "openai.key")
    taken = fresh("taken")
    with socket.socket() as held:
        held.bind(("127.0.0.1", taken.port))
        held.listen()
        fails_to_start(taken, 74, f"127.0.0.1:{taken.port}")
    twice = fresh("twice").start()
    try:
        second = fresh("twice")
        second.port = gateway.free_port()
        done = subprocess.run(
            [str(gateway.binary()), "serve", "--config", str(twice.config), "--data", str(twice.data), "--gateway",
             "127.0.0.1:0", "--admin", "127.0.0.1:0"], capture_output=True, text=True, timeout=START_FAILS_WITHIN_S, check=False)
        equal(done.returncode, 74, f"a second gateway on one data directory: {done.stderr[-300:]!r}")
        expect("lock" in done.stderr or "use" in done.stderr, f"the message: {done.stderr[-300:]!r}")
    finally:
        twice.stop()
    (twice.data / "keys/log.pem").write_text("not a key\n")
    (twice.folder / "stderr").unlink()
    found = fails_to_start(twice, 74, "log.pem")
    expect("not a key" not in found, "the message holds the key file's text")
    bad_rule(folder)
    return "8 starts refused"


def bad_rule(folder):
    """A rule that does not parse, and one that reads an attribute which does not exist: file and line."""
    for name, rule, line in (("parse", "permit (principal, action, resource) when {{;\n", 1),
                             ("schema", "\n\n@id(\"bad\")\npermit (principal, action, resource)\nwhen { context.nothing == 1 };\n", 3)):
        bundle = folder / f"bundle-{name}"
        shutil.copytree(gateway.ROOT / "policies/default", bundle)
        (bundle / "zz-bad.cedar").write_text(rule)
        sealgate = gateway.Gateway(folder / f"rule-{name}", "http://127.0.0.1:9", KEYS,
                                   extra=f'[policy]\ndir = "{bundle}"\n\n')
        message = fails_to_start(sealgate, 64, "zz-bad.cedar")
        place = re.search(r"zz-bad\.cedar[:,]? ?(?:line )?(\d+)", message)
        expect(place and abs(int(place[1]) - line) <= 2, f"no line number near {line}: {message[-400:]!r}")


@check("expired token, body over the limit, invalid UTF-8, truncated JSON, depth 10,000, duplicate keys")
def bad_requests(folder):
    vendor = MockVendor(KEYS).start()
    with gateway.Gateway(folder, vendor.url, KEYS) as sealgate:
        wanted = {}
        headers = {"authorization": f"Bearer {sealgate.token}", "content-type": "application/json"}

        def post(reason, status, body):
            answer = sealgate.request("POST", "/openai/v1/chat/completions", body, headers)
            wanted[refused(answer, status, reason)] = reason

        good = '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%s"}]%s}'
        post("request.malformed", 422, (good % ("\xff\xfe", "")).encode("latin-1"))
        post("request.malformed", 422, (good % ("Hello.", ""))[:-9].encode())
        post("request.malformed", 422, (good % ("Hello.", ',"x":' + "[" * 10_000 + "]" * 10_000)).encode())
        post("request.malformed", 422, (good % ("Hello.", ',"model":"other"')).encode())
        post("request.malformed", 422, (good % ("Hello.", "") + " {}").encode())
        too_large(sealgate, wanted)
        expired(sealgate, wanted)
    equal(len(vendor.requests), 0, "refused requests at the vendor")
    log = logread.Log(sealgate.data, allow_tail=False)
    for request, reason in wanted.items():
        pair = log.pair(request)
        expect(pair and pair[1], f"no two records for {reason}")
        equal((pair[0]["reason"], pair[1]["status"], pair[1]["bytes"]["forwarded"]), (reason, "denied", 0), request)
    return f"{len(wanted)} requests"


def too_large(sealgate, wanted):
    """Over the limit by its declared length, and found out while reading a chunked body."""
    head = (f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sealgate.token}\r\n"
            "Content-Type: application/json\r\nConnection: close\r\n")
    for extra, send in ((f"Content-Length: {BODY_LIMIT_BYTES + 1}\r\n\r\n", 0),
                        ("Transfer-Encoding: chunked\r\n\r\n", BODY_LIMIT_BYTES + 1)):
        with socket.create_connection(("127.0.0.1", sealgate.port), timeout=60) as connection:
            connection.sendall((head + extra).encode())
            piece = b" " * 65536
            try:
                for _ in range(send // len(piece) + 1 if send else 0):
                    connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            except OSError:
                pass  # refused while we were still sending
            data = b""
            try:
                while chunk := connection.recv(65536):
                    data += chunk
            except ConnectionResetError:
                pass
        text = data.decode()
        expect(text.startswith("HTTP/1.1 413 ") and "request.too_large" in text, f"too large: {text[:300]!r}")
        request = re.search(r"(?im)^sealgate-request: (\S+)", text)
        wanted[request[1]] = "request.too_large"


def expired(sealgate, wanted):
    """A token whose time is over, and a revoked one, in the running gateway."""
    until = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3))
    made = sealgate.cli("token", "new", "--name", "short", "--user", "someone", "--role", "developer", "--tenant",
                        "default", "--expires", until, check=True)
    token = re.search(r"sg_[A-Za-z0-9_-]+", made.stdout)[0]
    early = sealgate.request("POST", "/openai/v1/chat/completions", b"{", {"authorization": f"Bearer {token}"})
    wanted[refused(early, 422, "request.malformed")] = "request.malformed"  # identity comes first: it was accepted
    time.sleep(3.5)
    wanted[refused(sealgate.chat("Hello.", token=token), 401, "identity.expired")] = "identity.expired"
    made = sealgate.cli("token", "new", "--name", "gone", "--user", "someone", "--role", "developer", "--tenant",
                        "default", check=True)
    token = re.search(r"sg_[A-Za-z0-9_-]+", made.stdout)[0]
    listed = json.loads(sealgate.cli("token", "list", "--format", "json", check=True).stdout)
    listed = listed.get("tokens", listed) if isinstance(listed, dict) else listed
    identity = next(t["id"] for t in listed if t["name"] == "gone")
    sealgate.cli("token", "revoke", identity, check=True)
    wanted[refused(sealgate.chat("Hello.", token=token), 401, "identity.invalid")] = "identity.invalid"


class BadVendor:
    """Accepts connections and does one wrong thing to each."""

    def __init__(self, say, linger_s=0.0, reset=False):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.say, self.linger_s, self.reset = say, linger_s, reset
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(self.say)
                time.sleep(self.linger_s)
                if self.reset:  # SO_LINGER 0: closing sends a reset
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except OSError:
                pass


OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENT_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@check("a vendor that is down, slow, resets, or sends garbage: 502 or 504, recorded, never a hang")
def bad_vendors(folder):
    bad = {"down": (f"http://127.0.0.1:{gateway.free_port()}", 502, "upstream.refused"),
           "slow": (BadVendor(b"", linger_s=30).url, 504, "upstream.timeout"),
           "resets": (BadVendor(b"", reset=True).url, 502, "upstream.error"),
           "garbage": (BadVendor(b"\x00\x01 what is this\r\n\r\n").url, 502, "upstream.error"),
           "halfway": (BadVendor(OK_HEAD + b"Content-Length: 500\r\n\r\n{\"id\":").url, 502, "upstream.error"),
           "notls": (BadVendor(b"hello\r\n").url.replace("http:", "https:"), 502, "upstream.tls"),
           "midstream": (BadVendor(EVENT_HEAD + b"8\r\ndata: {}\r\n", reset=True).url, None, "upstream.error")}
    routes = "".join(f'[[vendor]]\nid = "openai-{n}"\ndialect = "openai"\nurl = "{u}"\ncredential = "file:openai.key"\n\n'
                     + gateway.route(n, to=f"openai-{n}") for n, (u, _, _) in bad.items())
    bundle = folder / "bundle"
    shutil.copytree(gateway.ROOT / "policies/default", bundle)
    text = (bundle / "vendors.toml").read_text()
    (bundle / "vendors.toml").write_text(copies_of_openai(text, [f"openai-{n}" for n in bad]))
    extra = f'[policy]\ndir = "{bundle}"\n\n[egress]\nfirst_byte_seconds = 2\n\n'
    requests = {}
    with gateway.Gateway(folder, "http://127.0.0.1:9", KEYS, extra=extra, routes=routes) as sealgate:
        for name, (_, status, reason) in bad.items():
            begin = time.monotonic()
            if status is None:
                requests[broken_stream(sealgate, f"/{name}")] = reason
            else:
                requests[refused(sealgate.chat("Hello.", route_path=f"/{name}"), status, reason)] = reason
            expect(time.monotonic() - begin < 15, f"{name} took {time.monotonic() - begin:.1f} s")
    log = logread.Log(sealgate.data, allow_tail=False)
    for request, reason in requests.items():
        pair = log.pair(request)
        expect(pair and pair[1], f"no two records for {reason} ({request})")
        equal((pair[1]["status"], pair[1]["reason"]), ("upstream_error", reason), request)
    return f"{len(requests)} vendors"


def copies_of_openai(text, names):
    """The register with the `openai` entry repeated under other ids."""
    blocks = re.split(r"(?m)^(?=\[\[vendor\]\])", text)
    entry = next(b for b in blocks if re.search(r'(?m)^id\s*=\s*"openai"', b))
    return text + "".join("\n" + re.sub(r'(?m)^id\s*=\s*"openai"', f'id = "{n}"', entry) for n in names)


def broken_stream(sealgate, path):
    """A stream that the vendor breaks off: the client must not see an orderly end."""
    try:
        status, headers, body = sealgate.chat("Hello.", route_path=path, stream=True)
    except gateway.http.client.IncompleteRead as error:
        equal(b"[DONE]" in error.partial, False, "an orderly end of a broken stream")
    else:
        expect(status >= 500 or b"error" in body, f"a broken stream ended in order: {status} {body[:200]!r}")
        return header(headers, "sealgate-request")
    found = wait_until(lambda: [r for r in logread.Log(sealgate.data, signatures=False).completions.values()
                                if r.head["reason"] == "upstream.error" and r.head["http_status"] == 200], "its completion")
    return found[-1].head["request"]


@check("a fresh start prints lines that work as they stand; records list shows them; verify is OK, exit 0")
def first_five_minutes(folder):
    folder.mkdir(parents=True, exist_ok=True)
    port, admin = gateway.free_port(), gateway.free_port()
    command = [str(gateway.binary()), "serve", "--gateway", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
    log = folder / "output"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        curls = wait_until(lambda: len(lines_with(log, "curl ")) >= 2 and lines_with(log, "curl "), "two curl lines", 30)
        path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        answers = [subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
                   for line in curls[:2]]
        for line, answer in zip(curls, answers):
            equal(answer.returncode, 0, f"`{line}`: {answer.stderr[-300:]}")
        expect("choices" in answers[0].stdout or "content" in answers[0].stdout, f"no answer: {answers[0].stdout[:300]}")
        expect("[redacted:" in answers[1].stdout or "dlp." in answers[1].stdout, f"neither redacted nor denied: {answers[1].stdout[:300]}")
        python = lines_with(log, "python")
        expect(python, "no Python line was printed")
        done = subprocess.run(["bash", "-c", python[0]], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "PATH": path})
        equal(done.returncode, 0, f"`{python[0]}`: {done.stderr[-400:]}")

        def cli(*arguments):
            return subprocess.run([str(gateway.binary()), *arguments], cwd=folder, capture_output=True, text=True,
                                  timeout=60, check=False)

        rows = [json.loads(line) for line in cli("records", "list", "--format", "jsonl").stdout.splitlines()]
        equal(len(rows), 3, "requests that `records list` shows")
        running = cli("records", "verify")
        expect(running.returncode == 0 and running.stdout.startswith("OK"), f"verify: {running.stdout[:300]}")
        root = subprocess.run(["curl", "-s", f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=False).stdout
        expect("sealgate" in root.lower() and len(root) < 1500, f"GET / says: {root[:200]!r}")
        expect((folder / "data/dev-token").read_text().strip() not in log.read_text(), "the token was printed")
        equal((folder / "data/dev-token").stat().st_mode & 0o777, 0o600, "mode of dev-token")
    finally:
        process.terminate()
        code = process.wait(30)
    equal(code, 0, f"exit code on SIGTERM ({log.read_text()[-300:]!r})")
    equal(len(logread.Log(folder / "data", allow_tail=False).open), 0, "open decisions after SIGTERM")
    return f"{len(rows)} requests"


def lines_with(log, word):
    """Printed lines that begin with a command."""
    return [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip().startswith(word)]


@check("/metrics passes promtool check metrics")
def promtool(folder):
    expect(shutil.which("promtool"), "`promtool` is missing: install Debian's `prometheus`")
    vendor = MockVendor(KEYS).start()
    with gateway.Gateway(folder, vendor.url, KEYS) as sealgate:
        equal(sealgate.chat("Hello.")[0], 200, "one request")
        text = sealgate.get_admin("/metrics")[1]
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False)
    expect(done.returncode == 0, f"promtool: {done.stdout}{done.stderr}")
    return f"{len(text.splitlines())} lines"
