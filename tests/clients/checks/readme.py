"""The README's code works as it stands."""

import os
import pathlib
import re
import subprocess
import sys

import gateway

from . import check, equal, expect, wait_until

NODE = gateway.ROOT / "tests/clients/node"


def snippets(language):
    """The README's fenced blocks of one language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", (gateway.ROOT / "README.md").read_text())


def run_node(text, folder):
    """Runs a module where its imports resolve, from the folder that holds data/."""
    module = NODE / f".readme-{os.getpid()}.mjs"
    module.write_text(text)
    try:
        return subprocess.run(["node", str(module)], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    finally:
        module.unlink()


@check("the README's curl, Python and Node lines work as they stand")
def readme_lines(folder):
    folder.mkdir(parents=True, exist_ok=True)
    port = gateway.free_port()
    command = [str(gateway.binary()), "serve", "--gateway", f"127.0.0.1:{port}", "--admin", "127.0.0.1:0"]
    with open(folder / "output", "wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    ran = 0
    try:
        wait_until(lambda: b"curl" in (folder / "output").read_bytes(), "the start-up lines", 30)

        def fitted(text):
            return text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")

        readme = (gateway.ROOT / "README.md").read_text()
        curl = re.search(r"(?m)^    (curl -s (?:.*\\\n)*.*)", readme)[1]
        done = subprocess.run(["bash", "-c", fitted(curl)], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
        expect(done.returncode == 0 and "Hello" in done.stdout, f"curl: {done.stdout[:300]}{done.stderr[:300]}")
        for text in snippets("python"):
            done = subprocess.run([sys.executable, "-c", fitted(text)], cwd=folder, capture_output=True, text=True,
                                  timeout=60, check=False)
            expect(done.returncode == 0 and "Hello" in done.stdout, f"Python: {done.stdout[:300]}{done.stderr[-300:]}")
            ran += 1
        for text in snippets("js"):
            done = run_node(fitted(text), folder)
            expect(done.returncode == 0 and "Hello" in done.stdout, f"Node: {done.stdout[:300]}{done.stderr[-300:]}")
            ran += 1
    finally:
        process.terminate()
        process.wait(30)
    equal(ran, 4, "snippets in the README")
    binary = pathlib.Path(gateway.binary())
    done = subprocess.run([str(binary), "records", "count"], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    expect(done.returncode == 0 and "5" in done.stdout, f"records count: {done.stdout[:200]}{done.stderr[:200]}")
    return "curl, 2 Python, 2 Node"
