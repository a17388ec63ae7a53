"""A small deterministic vendor on loopback: OpenAI chat completions and models, Anthropic messages and models.

What a test may rely on:
1. The same request bytes give the same answer bytes, whatever came before (only `case:retry` counts attempts).
2. Every request is kept as it arrived: request line, headers in order, body bytes, arrival time.
3. When `keys` are given, a request without the right vendor key gets the vendor's 401 and is counted in `wrong_keys`;
   a request that holds one of the `forbidden` strings anywhere is counted in `leaks`.
4. `on_request` runs after the whole request was read and before the first byte of the answer is written.

The answer is chosen by the last user text: `case:NAME arguments`; anything else is echoed. Standard library only.

    python3 mock_vendor.py --port 0 --keys openai=K1,anthropic=K2 --forbid FILE   prints `listening 127.0.0.1:PORT`
    GET /_mock/report                                                              counts as JSON
"""

import argparse
import asyncio
import hashlib
import json
import sys
import threading
import time
import zlib

CREATED = 1760000000  # a fixed instant: answers must not differ between runs
CARD = "4" + "1" * 15  # the published test number, spelled so that no scanner of this repository trips over it
BODY_MAX_BYTES = 64 * 1024 * 1024
# Headers that a proxy must replace, or that belong to one connection: not compared.
HOP_HEADERS = {
    "authorization", "x-api-key", "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding",
    "upgrade", "proxy-connection", "content-length", "accept-encoding", "idempotency-key",
}


class Request:
    """One request exactly as it arrived."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.time = time.time()
        self.path = target.split("?", 1)[0]

    def header(self, name):
        """The first value of a header, or None."""
        return next((v for n, v in self.headers if n.lower() == name), None)

    def json(self):
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def end_to_end_digest(self):
        """A digest of what must arrive unchanged through a proxy: method, query, headers, body."""
        kept = sorted((n.lower(), v) for n, v in self.headers if n.lower() not in HOP_HEADERS)
        query = self.target.partition("?")[2]
        text = json.dumps([self.method, query, kept]).encode() + b"\n" + self.body
        return hashlib.sha256(text).hexdigest()

    def holds(self, needle):
        """Whether the bytes occur anywhere in this request."""
        head = "\n".join([self.method, self.target] + [f"{n}: {v}" for n, v in self.headers]).encode("latin-1")
        return needle in head or needle in self.body


class Answer:
    """What to say, before a dialect renders it: text in chunks, tool calls with arguments in chunks."""

    def __init__(self, chunks=(), tools=(), finish="stop", pause_s=0.0, then=None):
        self.chunks, self.tools, self.finish = list(chunks), list(tools), finish
        self.pause_s = pause_s  # between events of a stream
        self.then = then  # "error" or "drop": what happens in place of a stream's orderly end

    @property
    def text(self):
        """The whole text."""
        return "".join(self.chunks)


class Fault(Exception):
    """An error answer in the vendor's own shape."""

    def __init__(self, status, headers=()):
        super().__init__(status)
        self.status, self.headers = status, list(headers)


def words(text):
    """Cuts text the way models stream it: a word and its leading space at a time."""
    out, word = [], ""
    for char in text:
        if char == " " and word:
            out.append(word)
            word = ""
        word += char
    return out + [word] if word else out


def split_at(text, needle, where):
    """Cuts `text` once inside `needle` at `where`, or everywhere when `where` is `chars`."""
    if where == "chars":
        return list(text)
    at = text.index(needle) + int(where)
    return [part for part in (text[:at], text[at:]) if part]


PROSE = "The lighthouse keeper wrote three letters, and each of them began with the weather."
UNICODE = "Grüße aus Köln – 東京の天気は晴れ 🌤️; naïve \"quotes\", back\\slash, tab\there, newline\nend."


def last_user_text(document):
    """The last user text of either dialect, and the tool results that came with the last message."""
    text, results = "", []
    messages = document.get("messages") if isinstance(document, dict) else None
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content")
        if message.get("role") == "tool":
            results.append(content if isinstance(content, str) else json.dumps(content))
            continue
        if message.get("role") != "user":
            continue
        if isinstance(content, str):
            text, results = content, []
            continue
        for part in content or []:
            if part.get("type") == "text":
                text, results = part["text"], []
            elif part.get("type") == "tool_result":
                inner = part.get("content")
                results.append(inner if isinstance(inner, str) else "".join(p.get("text", "") for p in inner or []))
    return text, results


class MockVendor:
    """The server. `start()` runs it on a thread of its own, `stop()` ends it."""

    def __init__(self, keys=None, forbidden=(), on_request=None, host="127.0.0.1", port=0):
        self.keys = keys or {}
        self.forbidden = [f.encode() if isinstance(f, str) else f for f in forbidden]
        self.on_request = on_request
        self.host, self.port = host, port
        self.requests, self.leaks, self.wrong_keys, self.faults = [], 0, 0, []
        self.behaviour = None  # a product check may set: callable(request, writer) -> coroutine or None
        self._attempts = {}
        self._loop = None
        self._thread = None

    # ---- life ----------------------------------------------------------------------------------------------

    def start(self):
        """Binds, serves on a background thread, returns self."""
        ready = threading.Event()

        def run():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
            server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, self.host, self.port, limit=2**20))
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            self._loop.run_forever()
            server.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the mock vendor did not start")
        return self

    def stop(self):
        """Ends the server."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def url(self):
        """Base URL, no path."""
        return f"http://{self.host}:{self.port}"

    def report(self):
        """Counts, for a runner in another process."""
        return {"requests": len(self.requests), "leaks": self.leaks, "wrong_keys": self.wrong_keys,
                "faults": self.faults}

    # ---- HTTP/1.1 ------------------------------------------------------------------------------------------

    async def _serve(self, reader, writer):
        try:
            while True:
                request = await self._read(reader)
                if request is None:
                    break
                if not await self._answer(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            pass
        finally:
            writer.close()

    async def _read(self, reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:] if line]
        given = {n.lower(): v for n, v in headers}
        if "chunked" in given.get("transfer-encoding", "").lower():
            body = await self._chunks(reader)
        else:
            body = await reader.readexactly(min(int(given.get("content-length", 0)), BODY_MAX_BYTES))
        return Request(method, target, headers, body)

    @staticmethod
    async def _chunks(reader):
        body = b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            if size == 0:
                while (await reader.readline()).strip():
                    pass
                return body
            body += await reader.readexactly(size)
            await reader.readexactly(2)

    async def _answer(self, request, writer):
        """Answers one request; False ends the connection."""
        if request.path == "/_mock/report":
            await self._send(writer, 200, json.dumps(self.report()).encode())
            return True
        self.requests.append(request)
        if any(request.holds(f) for f in self.forbidden):
            self.leaks += 1
        if self.on_request:
            try:
                self.on_request(request)
            except Exception as error:  # a failed check must be seen, not end the server
                self.faults.append(f"{type(error).__name__}: {error}")
        if self.behaviour:
            handled = self.behaviour(request, writer)
            if handled is not None:
                return await handled
        dialect = Anthropic if self._is_anthropic(request) else OpenAi
        try:
            self._check_key(request, dialect)
            return await self._route(request, dialect, writer)
        except Fault as fault:
            body = dialect.error(fault.status)
            await self._send(writer, fault.status, body, fault.headers + [
                ("x-request-id", "req_mock_error"), ("request-id", "req_mock_error")])
            return True

    @staticmethod
    def _is_anthropic(request):
        return request.path.endswith("/messages") or request.header("anthropic-version") is not None

    def _check_key(self, request, dialect):
        expected = self.keys.get(dialect.name)
        if expected is None:
            return
        given = request.header("x-api-key") or (request.header("authorization") or "").removeprefix("Bearer ")
        if given != expected:
            self.wrong_keys += 1
            raise Fault(401)

    async def _route(self, request, dialect, writer):
        if request.method == "GET" and request.path.endswith("/models"):
            await self._send(writer, 200, dialect.models(), self._marks(request))
            return True
        if request.method != "POST" or not request.path.endswith(("/chat/completions", "/messages")):
            raise Fault(404)
        document = request.json()
        if not isinstance(document, dict):
            raise Fault(400)
        answer = await self._script(document, request)
        if document.get("stream"):
            return await self._stream(dialect.events(answer, document, request), answer, dialect, request, writer)
        body = dialect.whole(answer, document, request)
        headers = self._marks(request)
        if answer.then == "gzip":
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers.append(("content-encoding", "gzip"))
        await self._send(writer, 200, body, headers)
        return True

    @staticmethod
    def _marks(request):
        return [("x-request-id", "req_mock_0001"), ("request-id", "req_mock_0001"), ("x-mock-arrived", request.end_to_end_digest()),
                ("x-ratelimit-remaining-requests", "99")]

    @staticmethod
    async def _send(writer, status, body, headers=(), content_type="application/json"):
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", f"content-type: {content_type}",
                 f"content-length: {len(body)}"] + [f"{n}: {v}" for n, v in headers]
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        await writer.drain()

    async def _stream(self, events, answer, dialect, request, writer):
        lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream; charset=utf-8", "cache-control: no-cache",
                 "transfer-encoding: chunked"] + [f"{n}: {v}" for n, v in self._marks(request)]
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        for event in events:
            writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            await writer.drain()
            if answer.pause_s:
                await asyncio.sleep(answer.pause_s)
        if answer.then == "drop":
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    # ---- the script ----------------------------------------------------------------------------------------

    async def _script(self, document, request):
        text, results = last_user_text(document)
        if not text.startswith("case:"):
            return Answer(words(text))
        name, _, rest = text[5:].partition(" ")
        if results:
            return Answer(words(f"The tools said: {'; '.join(results)}."))
        if name.isdigit():
            raise Fault(int(name), [("retry-after", "7")] if name == "429" else [])
        if name == "retry":
            self._attempts[rest] = self._attempts.get(rest, 0) + 1
            if self._attempts[rest] == 1:
                raise Fault(429, [("retry-after", "1")])
            return Answer(words("Second time lucky."))
        if name == "slow":
            await asyncio.sleep(float(rest or 3))
        return SCRIPTS.get(name, lambda arguments: Answer(words(PROSE)))(rest)


def tool_answer(_):
    """Two tool calls whose arguments hold escapes and arrive in fragments."""
    first = json.dumps({"city": "Köln \"Nord\"", "days": 3})
    second = json.dumps({"path": "C:\\maps\\a b.txt", "deep": {"list": [1, 2.5, True, None]}}, ensure_ascii=False)
    return Answer(["Let me look. "], [("get_weather", [first[i:i + 5] for i in range(0, len(first), 5)]),
                                      ("open_file", [second[i:i + 7] for i in range(0, len(second), 7)])],
                  finish="tool_calls")


def card_answer(arguments):
    """`text POSITION` or `args POSITION`: a card number in a streamed answer, cut at that position (or `chars`)."""
    where, _, position = arguments.partition(" ")
    if where == "text":
        return Answer(split_at(f"Before it stands this. {CARD} and after it that, to the end.", CARD, position))
    body = json.dumps({"note": f"before {CARD} after", "amount": 12})
    return Answer([], [("pay", split_at(body, CARD, position))], finish="tool_calls")


def number_card_answer(arguments):
    """The card number as a bare JSON number in tool arguments."""
    body = json.dumps({"card": int(CARD), "amount": 12})
    return Answer([], [("pay", split_at(body, CARD, arguments or "7"))], finish="tool_calls")


SCRIPTS = {
    "unicode": lambda _: Answer([UNICODE[i:i + 3] for i in range(0, len(UNICODE), 3)]),
    "structured": lambda _: Answer([c for c in words(json.dumps({"name": "Ada", "age": 36, "tags": ["a", "b"]}))]),
    "tools": tool_answer,
    "card": card_answer,
    "cardnumber": number_card_answer,
    "midstream": lambda _: Answer(words(PROSE)[:5], then="error"),
    "drop": lambda _: Answer(words(PROSE)[:5], then="drop"),
    "gzip": lambda _: Answer(words(PROSE), then="gzip"),
    "paced": lambda rest: Answer(words(PROSE), pause_s=float(rest or 0.05)),
    "long": lambda rest: Answer(words(" ".join([PROSE] * int(rest or 200)))),
}
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
           422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Unavailable"}


def sse(data, event=None):
    """One server-sent event."""
    line = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return (f"event: {event}\n" if event else "").encode() + f"data: {line}\n\n".encode()


class OpenAi:
    """The OpenAI chat completions shapes."""

    name = "openai"

    @staticmethod
    def _base(document, request, kind):
        mark = hashlib.sha256(request.body).hexdigest()[:12]
        return {"id": f"chatcmpl-{mark}", "object": kind, "created": CREATED,
                "model": document.get("model", "none"), "system_fingerprint": "fp_mock"}

    @classmethod
    def whole(cls, answer, document, request):
        message = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.tools:
            message["tool_calls"] = [
                {"id": f"call_{i}", "type": "function", "function": {"name": n, "arguments": "".join(c)}}
                for i, (n, c) in enumerate(answer.tools)]
        body = cls._base(document, request, "chat.completion")
        body["choices"] = [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}]
        body["usage"] = {"prompt_tokens": 11, "completion_tokens": len(answer.chunks), "total_tokens": 11 + len(answer.chunks)}
        # Two spaces after colons: a proxy that reformats bodies is found by the raw comparison.
        return json.dumps(body, ensure_ascii=False, separators=(", ", ":  ")).encode()

    @classmethod
    def events(cls, answer, document, request):
        base = cls._base(document, request, "chat.completion.chunk")

        def chunk(delta, finish=None):
            return sse({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        yield b": a comment, which is legal\n\n"
        yield chunk({"role": "assistant", "content": ""})
        for text in answer.chunks:
            yield chunk({"content": text})
        for i, (name, fragments) in enumerate(answer.tools):
            yield chunk({"tool_calls": [{"index": i, "id": f"call_{i}", "type": "function",
                                         "function": {"name": name, "arguments": ""}}]})
            for fragment in fragments:
                yield chunk({"tool_calls": [{"index": i, "function": {"arguments": fragment}}]})
        if answer.then == "error":
            yield sse({"error": {"message": "the mock failed mid stream", "type": "server_error",
                                 "param": None, "code": "mock_midstream"}})
            return
        if answer.then == "drop":
            return
        yield chunk({}, answer.finish)
        if (document.get("stream_options") or {}).get("include_usage"):
            yield sse({**base, "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5,
                                                        "total_tokens": 16}})
        yield sse("[DONE]")

    @staticmethod
    def models():
        return json.dumps({"object": "list", "data": [
            {"id": i, "object": "model", "created": CREATED, "owned_by": "mock"} for i in ("gpt-4o-mini", "gpt-4o")]},
        ).encode()

    @staticmethod
    def error(status):
        kinds = {400: "invalid_request_error", 401: "invalid_request_error", 403: "permission_error",
                 404: "not_found_error", 429: "rate_limit_error", 500: "server_error"}
        codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        return json.dumps({"error": {"message": f"the mock says {status}", "type": kinds.get(status, "api_error"),
                                     "param": None, "code": codes.get(status)}}).encode()


class Anthropic:
    """The Anthropic messages shapes."""

    name = "anthropic"

    @staticmethod
    def _message(answer, document, request):
        mark = hashlib.sha256(request.body).hexdigest()[:12]
        content = [{"type": "text", "text": answer.text}] if answer.chunks else []
        content += [{"type": "tool_use", "id": f"toolu_{i}", "name": n, "input": json.loads("".join(c))}
                    for i, (n, c) in enumerate(answer.tools)]
        return {"id": f"msg_{mark}", "type": "message", "role": "assistant", "model": document.get("model", "none"),
                "content": content, "stop_reason": "tool_use" if answer.tools else "end_turn", "stop_sequence": None,
                "usage": {"input_tokens": 11, "output_tokens": len(answer.chunks)}}

    @classmethod
    def whole(cls, answer, document, request):
        return json.dumps(cls._message(answer, document, request), ensure_ascii=False,
                          separators=(", ", ":  ")).encode()

    @classmethod
    def events(cls, answer, document, request):
        whole = cls._message(answer, document, request)
        start = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": 11, "output_tokens": 1}}

        def event(kind, **fields):
            # The vendor pads its data lines with spaces: a reader must keep them.
            return sse(json.dumps({"type": kind, **fields}, ensure_ascii=False) + "   ", kind)

        yield event("message_start", message=start)
        yield event("ping")
        index = 0
        if answer.chunks:
            yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            for text in answer.chunks:
                yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
            if answer.then == "error":
                yield event("error", error={"type": "overloaded_error", "message": "the mock failed mid stream"})
                return
            if answer.then == "drop":
                return
            yield event("content_block_stop", index=0)
            index = 1
        for i, (name, fragments) in enumerate(answer.tools):
            yield event("content_block_start", index=index + i,
                        content_block={"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": {}})
            for fragment in fragments:
                yield event("content_block_delta", index=index + i,
                            delta={"type": "input_json_delta", "partial_json": fragment})
            yield event("content_block_stop", index=index + i)
        yield event("message_delta", delta={"stop_reason": whole["stop_reason"], "stop_sequence": None},
                    usage={"output_tokens": len(answer.chunks)})
        yield event("message_stop")

    @staticmethod
    def models():
        return json.dumps({"data": [{"type": "model", "id": "claude-mock", "display_name": "Mock",
                                     "created_at": "2026-01-01T00:00:00Z"}],
                           "has_more": False, "first_id": "claude-mock", "last_id": "claude-mock"}).encode()

    @staticmethod
    def error(status):
        kinds = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
                 404: "not_found_error", 429: "rate_limit_error", 500: "api_error"}
        return json.dumps({"type": "error", "error": {"type": kinds.get(status, "api_error"),
                                                      "message": f"the mock says {status}"},
                           "request_id": "req_mock_error"}).encode()


def main():
    """Serves until standard input closes or the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--keys", default="", help="openai=KEY,anthropic=KEY: anything else gets 401")
    parser.add_argument("--forbid", action="append", default=[], help="a file whose text must never arrive")
    options = parser.parse_args()
    keys = dict(pair.split("=", 1) for pair in options.keys.split(",") if pair)
    forbidden = [open(path, encoding="utf-8").read().strip() for path in options.forbid]
    vendor = MockVendor(keys, [f for f in forbidden if f], port=options.port).start()
    print(f"listening {vendor.host}:{vendor.port}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
