"""Runs one real Sealgate: writes its configuration, starts it, waits until it is ready, stops or kills it.

Standard library only. `Gateway(...)` is a context manager; its folder holds `sealgate.toml`, the vendor keys, `data/`
and what the process printed (`stdout`, `stderr`).
"""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_S = 30
STOP_WITHIN_S = 30


class Broken(Exception):
    """The gateway did not do what every check relies on."""


def binary():
    """The Sealgate under test: $SEALGATE_BIN, else the newer of the release and debug builds."""
    given = os.environ.get("SEALGATE_BIN")
    found = [pathlib.Path(given)] if given else [ROOT / "target" / kind / "sealgate" for kind in ("release", "debug")]
    built = [p for p in found if p.is_file()]
    if not built:
        raise Broken("no sealgate binary: run `cargo build --release` first, or set SEALGATE_BIN")
    return max(built, key=lambda p: p.stat().st_mtime)


def free_port():
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def vendor(name, dialect, url, credential):
    """One `[[vendor]]` table."""
    dialect = json.dumps(dialect)
    return f'[[vendor]]\nid = "{name}"\ndialect = {dialect}\nurl = "{url}"\ncredential = "{credential}"\n\n'


def route(name, to=None, path=None, **more):
    """One `[[route]]` table."""
    extra = "".join(f"{k} = {json.dumps(v)}\n" for k, v in more.items())
    return f'[[route]]\nname = "{name}"\npath = "{path or "/" + name}"\nvendor = "{to or name}"\n{extra}\n'


class Gateway:
    """One gateway process and its folder."""

    def __init__(self, folder, url, keys, extra="", routes=None, wrap=(), env=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.wrap, self.env = list(wrap), env
        self.port, self.admin = free_port(), free_port()
        self.process = None
        for name, key in keys.items():
            path = self.folder / f"{name}.key"
            path.write_text(key)
            path.chmod(0o600)
        self.config = self.folder / "sealgate.toml"
        if routes is None:
            routes = "".join(
                vendor(n, ["openai", "anthropic"] if n == "demo" else n, url, f"file:{n}.key") + route(n) for n in keys)
        self.config.write_text(extra + routes)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.stop()

    def start(self):
        """Starts and waits for `/readyz`."""
        self.launch()
        end = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Broken(f"sealgate exited with {self.process.returncode}: {self.stderr()[-800:]}")
            try:
                if self.get_admin("/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        self.kill9()
        raise Broken(f"sealgate was not ready within {READY_WITHIN_S} s: {self.stderr()[-800:]}")

    def launch(self):
        """Starts the process without waiting."""
        command = [*self.wrap, str(binary()), "serve", "--config", str(self.config), "--data", str(self.data),
                   "--gateway", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}"]
        with open(self.folder / "stdout", "ab") as out, open(self.folder / "stderr", "ab") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=self.env,
                                            start_new_session=True)

    def stop(self):
        """SIGTERM, drain, exit code."""
        self._signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise Broken(f"sealgate did not end within {STOP_WITHIN_S} s of SIGTERM") from None

    def kill9(self):
        """SIGKILL to the gateway (and its tracer)."""
        self._signal(signal.SIGKILL)
        self.process.wait(STOP_WITHIN_S)

    def _signal(self, number):
        # The process group that this object started, nothing else: the gateway alone, or strace and the gateway.
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    @property
    def url(self):
        """Base URL of the data plane."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self):
        """The development token of this data directory."""
        return (self.data / "dev-token").read_text().strip()

    def stdout(self):
        """What it printed."""
        return (self.folder / "stdout").read_text(errors="replace")

    def stderr(self):
        """What it logged."""
        return (self.folder / "stderr").read_text(errors="replace")

    def get_admin(self, path):
        """(status, text) of an admin path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def request(self, method, path, body=None, headers=None, timeout=30):
        """(status, headers as a list, body bytes) of one request to the data plane, exactly as given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def chat(self, text, route_path="/openai", token=None, model="gpt-4o-mini", timeout=30, **more):
        """One OpenAI chat request with the development token: (status, headers, body)."""
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()
        headers = {"content-type": "application/json"}
        if token != "":
            headers["authorization"] = f"Bearer {token or self.token}"
        return self.request("POST", route_path + "/v1/chat/completions", body, headers, timeout)

    def messages(self, text, route_path="/anthropic", token=None, model="claude-mock", timeout=30, **more):
        """One Anthropic messages request with the development token: (status, headers, body)."""
        body = json.dumps({"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": text}],
                           **more}).encode()
        headers = {"content-type": "application/json", "anthropic-version": "2023-06-01",
                   "x-api-key": token or self.token}
        return self.request("POST", route_path + "/v1/messages", body, headers, timeout)

    def cli(self, *arguments, check=False):
        """Runs a Sealgate command on this data directory: the finished process, text captured."""
        done = subprocess.run([str(binary()), *arguments, "--config", str(self.config), "--data", str(self.data)],
                              capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise Broken(f"`sealgate {' '.join(arguments)}` exited with {done.returncode}: {done.stderr.strip()[:400]}")
        return done
