"""What goes through and what never does: byte fidelity, sensitive values, streamed cards, the first token."""

import gzip
import json
import re
import socket
import time
import urllib.parse

import gateway
import harness
from mock_vendor import MockVendor, PROSE
from python import suite

from . import CARD, DEMO_KEYS, EMAIL, KEYS, SENSITIVE, Failed, check, equal, expect, header, wait_until

# DESIGN promise 7: credentials, Host, hop-by-hop and sealgate-* headers may differ, Accept-Encoding is narrowed.
REQUEST_EXCEPT = {"authorization", "x-api-key", "host", "connection", "keep-alive", "te", "trailer", "upgrade",
                  "transfer-encoding", "proxy-connection", "accept-encoding", "content-length"}
ANSWER_EXCEPT = {"connection", "keep-alive", "transfer-encoding", "content-length", "trailer", "upgrade"}


def exchange(port, raw, timeout=20):
    """Sends raw bytes on a new connection, reads until it ends: (status, headers, body as it came off the wire)."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(raw)
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:]]
    if "chunked" in (header(headers, "transfer-encoding") or ""):
        body = unchunk(body)
    return int(lines[0].split()[1]), headers, body


def unchunk(body):
    """A chunked body's content."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        size = int(size.split(b";")[0], 16)
        if size == 0:
            return content
        content, body = content + body[:size], body[size + 2:]
    raise Failed("a chunked body without its end")


def kept(headers, exceptions):
    """What must be equal on both sides: names without case, values as they are, order within a name."""
    found = {}
    for name, value in headers:
        if name.lower() not in exceptions and not name.lower().startswith("sealgate-"):
            found.setdefault(name.lower(), []).append(value)
    return found


ODD_BODY = ('{ "model" : "gpt-4o-mini",\n\t"temperature":1.0e-0, "seed": 0.10000000000000000555,\r\n'
            ' "zz":{"b":1,"a":[ ]}, "messages":[{"role":"user","content":"Gr\\u00fc\\u00dfe \\/ 東京 \\ud83c\\udf24 \\t'
            ' {not json} data: [DONE]"}] , "stream":%s,"metadata":{"note":""}}  \n').encode()
ODD_ANSWER = ('{"id":"chatcmpl-x" ,"object":"chat.completion","created":1760000000,"model":"gpt-4o-mini","choices":\n'
              '[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Gr\\u00fc\\u00dfe 東京 \\/"}}],'
              ' "score":1.50, "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n').encode()
ODD_STREAM = (': hello\r\n\r\nid: 7\r\nretry: 10\r\ndata:{"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
              '"choices":[{"index":0,"delta":{"content":"Gr\\u00fc"},"finish_reason":null}]}\r\n\r\n'
              ': keep alive\n\n\ndata: {"id":"c","object":"chat.completion.chunk",\ndata: "created":1,"model":"m",'
              '"choices":[{"index":0,"delta":{"content":" 東京 fine."},"finish_reason":"stop"}]}   \n\n'
              'data: [DONE]\n\n').encode()


class OddVendor:
    """A vendor whose answers are unusual in every legal way."""

    def __init__(self):
        self.vendor = MockVendor()
        self.vendor.behaviour = self.answer
        self.vendor.start()
        self.headers = [("Content-Type", "application/json"), ("X-Odd-CASE", "a;b , c"), ("Set-Cookie", "one=1"),
                        ("Set-Cookie", "two=2"), ("openai-processing-ms", "12"), ("X-Empty", ""),
                        ("Date", "Sun, 01 Feb 2026 00:00:00 GMT"), ("Server", "odd"), ("Via", "1.1 odd")]

    def answer(self, request, writer):
        """Answers and closes, in pieces that cut characters apart."""
        async def write():
            stream = b'"stream":true' in request.body
            body, headers = ODD_ANSWER, list(self.headers)
            if stream:
                body, headers[0] = ODD_STREAM, ("Content-Type", "text/event-stream")
            if request.header("x-want") == "gzip" and "gzip" in (request.header("accept-encoding") or ""):
                body = gzip.compress(body, mtime=0)
                headers.append(("Content-Encoding", "gzip"))
            lines = "".join(f"{n}: {v}\r\n" for n, v in headers)
            if not stream:
                lines += f"Content-Length: {len(body)}\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\n{lines}Connection: close\r\n\r\n".encode("latin-1"))
            for at in range(0, len(body), 7):
                writer.write(body[at:at + 7])
                await writer.drain()
            return False
        return write()


def odd_requests(token):
    """(name, head and body as bytes, the body as the vendor must receive it)."""
    plain, stream = ODD_BODY % b"false", ODD_BODY % b"true"
    head = (f"POST /openai/v1/chat/completions?api-version=2026-01-01&x=%7e%3A HTTP/1.1\r\nHost: here\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json; charset=utf-8\r\nX-Custom-One: a  b\r\n"
            "X-Repeat: 1\r\nX-Repeat: 2\r\nOpenAI-Beta: assistants=v2\r\nanthropic-beta: one,two\r\nUser-Agent: odd/1.0 (x)\r\n"
            "Accept: */*\r\nConnection: close\r\n").encode()

    def sized(body, extra=b""):
        return head + extra + f"Content-Length: {len(body)}\r\n\r\n".encode() + body

    chunks = b"".join(f"{len(p):X};x=y\r\n".encode() + p + b"\r\n" for p in (plain[:5], plain[5:90], plain[90:]))
    packed = gzip.compress(plain, mtime=0)
    return [("plain", sized(plain), plain), ("stream", sized(stream), stream),
            ("chunked request", head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", plain),
            ("gzip answer", sized(plain, b"X-Want: gzip\r\nAccept-Encoding: gzip\r\n"), plain),
            ("gzip stream", sized(stream, b"X-Want: gzip\r\nAccept-Encoding: gzip, br\r\n"), stream),
            ("gzip request", sized(packed, b"Content-Encoding: gzip\r\n"), packed)]


@check("a body with nothing to redact goes byte for byte both ways, headers compared too")
def byte_for_byte(folder):
    odd = OddVendor()
    with gateway.Gateway(folder, odd.vendor.url, KEYS) as sealgate:
        for name, raw, body in odd_requests(sealgate.token):
            status, headers, answer = exchange(sealgate.port, raw)
            equal(status, 200, f"{name}: status ({answer[:300]!r})")
            arrived = odd.vendor.requests[-1]
            equal(arrived.body, body, f"{name}: request body at the vendor")
            equal(arrived.target, "/v1/chat/completions?api-version=2026-01-01&x=%7e%3A", f"{name}: target")
            lines = raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
            sent = [tuple(p.strip() for p in line.split(":", 1)) for line in lines]
            equal(kept(arrived.headers, REQUEST_EXCEPT), kept(sent, REQUEST_EXCEPT), f"{name}: headers at the vendor")
            equal(arrived.header("authorization"), f"Bearer {KEYS['openai']}", f"{name}: the vendor's credential")
            wanted = ODD_STREAM if b'"stream":true' in (gzip.decompress(body) if "gzip r" in name else body) else ODD_ANSWER
            # A gateway may ask for streams uncompressed: what counts is that the vendor's bytes arrive.
            packed = "gzip a" in name or ("gzip s" in name and "gzip" in (arrived.header("accept-encoding") or ""))
            if packed:
                wanted = gzip.compress(wanted, mtime=0)
            equal(answer, wanted, f"{name}: answer body")
            vendor_headers = list(odd.headers)
            vendor_headers[0] = ("Content-Type", "text/event-stream" if "stream" in name else "application/json")
            if packed:
                vendor_headers.append(("Content-Encoding", "gzip"))
            equal(kept(headers, ANSWER_EXCEPT), kept(vendor_headers, ANSWER_EXCEPT), f"{name}: headers of the answer")
            for own in ("sealgate-request", "sealgate-outcome", "sealgate-policy", "sealgate-record"):
                expect(header(headers, own), f"{name}: no {own} header")
        expect(not any(r.holds(sealgate.token.encode()) for r in odd.vendor.requests), "the Sealgate token arrived")
    return f"{len(odd.vendor.requests)} shapes"


def everywhere(sealgate, value):
    """One request for each place where a caller can put a value: (place, answer)."""
    token = {"authorization": f"Bearer {sealgate.token}", "content-type": "application/json"}
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}
    tool = {"type": "function", "function": {"name": value, "parameters": {"type": "object"}}}
    quoted = urllib.parse.quote(value)

    def post(place, path="/demo/v1/chat/completions", headers=None, **body):
        raw = json.dumps({**chat, **body}).encode()
        return place, sealgate.request("POST", path, raw, {**token, **(headers or {})})

    ask = [{"role": "user", "content": f"Please remember {value} for me."}]
    yield post("prompt", messages=ask)
    yield post("prompt, streamed", messages=ask, stream=True)
    yield post("prompt, anthropic", path="/demo/v1/messages", messages=ask, max_tokens=9)
    yield post("system prompt", messages=[{"role": "system", "content": value}, *ask])
    yield post("tool result", messages=[*ask, {"role": "tool", "tool_call_id": "x", "content": value}])
    yield post("model", model=value)
    yield post("model with a prefix", model=f"gpt-{value}")
    yield post("tool name", tools=[tool])
    yield post("json key", metadata={value: "x"})
    yield post("role", messages=[{"role": value, "content": "Hello."}])
    yield post("header", headers={"x-note": value})
    yield post("user agent", headers={"user-agent": f"agent {value}"})
    yield post("header name", headers={"x-" + re.sub("[^a-zA-Z0-9-]", "-", value): "1"})
    yield post("trace", headers={"traceparent": f"00-{value}-00f067aa0ba902b7-01"})
    yield post("content type", headers={"content-type": f"application/json; note={value}"})
    yield post("request id header", headers={"sealgate-request": value, "x-request-id": value})
    yield post("path after the route", path=f"/demo/v1/{quoted}")
    yield post("unknown route", path=f"/{quoted}/v1/chat/completions")
    yield post("query", path=f"/demo/v1/chat/completions?user={quoted}")
    yield "credential", sealgate.request("POST", "/demo/v1/chat/completions", json.dumps(chat).encode(),
                                         {**token, "authorization": f"Bearer {value}"})
    yield "malformed body", sealgate.request("POST", "/demo/v1/chat/completions", f'{{"{value}": '.encode(), token)
    yield "not JSON", sealgate.request("POST", "/demo/v1/chat/completions", f"{value} {value}".encode(), token)
    yield "method", sealgate.request("PATCH", f"/demo/v1/models/{quoted}", b"", token)


@check("an e-mail address, a card number, an AWS key: redacted or denied, as the echo proves; held nowhere")
def held_nowhere(folder):
    vendor = MockVendor().start()
    statuses, needles = {}, {n: v.encode() for n, v in SENSITIVE.items()}
    with gateway.Gateway(folder, vendor.url, DEMO_KEYS) as sealgate:
        for name, value in SENSITIVE.items():
            for place, (status, headers, body) in everywhere(sealgate, value):
                statuses[name, place] = status
                expect(status < 500, f"{name} in {place}: HTTP {status} {body[:200]!r}")
                if place.startswith(("prompt", "system", "tool result")):
                    expect(needles[name] not in body, f"{name} in {place} came back whole: {body[:300]!r}")
                if "\n" not in value:
                    expect(value not in str(headers), f"{name} in {place}: echoed in an answer header")
        equal(statuses["aws", "prompt"], 403, "an AWS key in a prompt")
        for value, name in ((EMAIL, "pii.email"), (CARD, "pci.pan")):
            status, _, body = sealgate.chat(f"Please remember {value} for me.", route_path="/demo")
            equal(status, 200, f"{name} to the demo vendor")
            expect(f"Please remember [redacted:{name}] for me." in body.decode(), f"the echo: {body[:300]!r}")
        in_answers(sealgate)
        wait_until(lambda: "\nsealgate_index_lag_records 0" in sealgate.get_admin("/metrics")[1], "the index")
        metrics = sealgate.get_admin("/metrics")[1]
        listed = "".join(sealgate.cli("records", "list", "--limit", "1000", "--format", f).stdout for f in ("table", "jsonl"))
        token = sealgate.token
        secrets = {**needles, "vendor key": KEYS["openai"].encode(), "token": token.encode(),
                   "prompt text": b"Please remember", "answer text": b"lighthouse keeper"}
        search(sealgate, secrets, {"metrics": metrics.encode(), "records list": listed.encode()})
    search(sealgate, secrets, {})
    for name in ("card", "aws"):
        reached = [r.target for r in vendor.requests if needles[name] in r.body]
        equal(reached, [], f"requests with the {name} in their body at the vendor")
    return f"{len(statuses)} requests"


def in_answers(sealgate):
    """The vendor says a card number: not delivered, streamed or not."""
    for ask in (sealgate.chat, sealgate.messages):
        for stream in (False, True):
            path = "/openai" if ask == sealgate.chat else "/anthropic"
            _, _, body = ask("case:card text 7", route_path=path, stream=stream)
            expect(CARD[:10].encode() not in body, f"a card number in an answer was delivered: {body[:300]!r}")


def search(sealgate, secrets, more):
    """Fails when a file under data/, the logs or one of `more` holds a secret."""
    texts = {str(p.relative_to(sealgate.folder)): p.read_bytes()
             for p in sealgate.folder.rglob("*") if p.is_file() and p.suffix != ".key" and p.name != "sealgate.toml"}
    for where, text in {**texts, **more}.items():
        for name, secret in secrets.items():
            if name == "token" and where.endswith("dev-token"):
                continue
            expect(secret not in text, f"{where} holds the {name}")


def judged(text_or_args, text, calls, joined, where):
    """One streamed card: gone, and everything around it there."""
    everything = text + "".join(joined)
    expect(CARD[:10] not in re.sub(r"[^0-9]", "", everything), f"{where}: ten digits arrived: {everything[:200]!r}")
    expect("[redacted:pci.pan]" in everything, f"{where}: no redaction mark: {everything[:200]!r}")
    if text_or_args == "text":
        expect(text.startswith("Before it stands this. ") and text.endswith(" and after it that, to the end."),
               f"{where}: what surrounds it: {text!r}")
        return
    arguments = json.loads(joined[0])
    equal(calls[0][0], "pay", f"{where}: tool name")
    equal(arguments["amount"], 12, f"{where}: another argument")
    if "note" in arguments:
        expect(arguments["note"].startswith("before ") and arguments["note"].endswith(" after"),
               f"{where}: what surrounds it: {arguments}")


@check("a card number in a streamed answer, split everywhere, in text and tool arguments: never delivered")
def streamed_cards(folder):
    vendor, streams = MockVendor(KEYS).start(), 0
    positions = [str(n) for n in range(len(CARD) + 1)] + ["chars"]
    with gateway.Gateway(folder, vendor.url, KEYS) as sealgate:
        clients = {"openai": suite.OpenAi(f"{sealgate.url}/openai", sealgate.token),
                   "anthropic": suite.Anthropic(f"{sealgate.url}/anthropic", sealgate.token)}
        for name, client in clients.items():
            for position in positions:
                where = f"{name} text split at {position}"
                judged("text", client.stream(f"case:card text {position}")["text"], [], [], where)
                for kind in ("card args", "cardnumber"):
                    found = client.stream_tools(f"case:{kind} {position}".replace("cardnumber chars", "cardnumber 3"))
                    judged("args", found["text"], found["calls"], found["joined"], f"{name} {kind} split at {position}")
                streams += 3
        for name in clients:
            found = harness.run_suite(name, "node", f"{sealgate.url}/{name}", sealgate.token, "through", folder, "cards")
            expect(isinstance(found["cards"], list), f"{name}-node: {found['cards']}")
            for one in found["cards"]:
                judged("text", one["text"], [], [], f"{name}-node text split at {one['position']}")
                judged("args", "", one["calls"], one["joined"], f"{name}-node args split at {one['position']}")
                streams += 2
    return f"{streams} streams"


def first_text(base_url, key):
    """Seconds to the first text and to the end, and the number of pieces, of a stream paced at 0.2 s."""
    client = suite.OpenAi(base_url, key)
    begin, first, pieces = time.monotonic(), None, 0
    for chunk in client.ask("case:paced 0.2", stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.monotonic() - begin
            pieces += 1
    return first, time.monotonic() - begin, pieces


@check("a clean stream's first token is not delayed")
def first_token(folder):
    vendor, pause = MockVendor(KEYS).start(), 0.2
    with gateway.Gateway(folder, vendor.url, KEYS) as sealgate:
        first_text(f"{sealgate.url}/openai", sealgate.token)  # the first request also connects
        straight = first_text(vendor.url, KEYS["openai"])
        through = first_text(f"{sealgate.url}/openai", sealgate.token)
    # The last word of what arrived may be the begin of a finding, so it may wait for the next event, never for more.
    expect(through[0] - straight[0] < pause * 1.25, f"first text after {through[0]:.3f} s, straight {straight[0]:.3f} s")
    expect(through[2] >= len(PROSE.split()) - 2, f"{through[2]} pieces arrived, straight {straight[2]}")
    expect(through[1] - straight[1] < pause * 0.9, f"the end after {through[1]:.3f} s, straight {straight[1]:.3f} s")
    return f"first text {straight[0]:.3f} s straight, {through[0]:.3f} s through, {through[2]} of {straight[2]} pieces"
