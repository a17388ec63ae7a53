"""The official Python SDKs of OpenAI and Anthropic against one base URL; one JSON line per case.

    suite.py --client openai|anthropic --base-url URL --key KEY --label direct|through --out FILE [--cases a,b]

Each case gives a normalised result that must not depend on what stands between SDK and vendor. A case that raises
something the SDK does not promise is a result too (`unexpected`), so that it shows in the comparison.
"""

import argparse
import asyncio
import hashlib
import json
import time

import anthropic
import openai
from pydantic import BaseModel

TOOLS = {
    "get_weather": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                    "required": ["city"]},
    "open_file": {"type": "object", "properties": {"path": {"type": "string"}, "deep": {"type": "object"}},
                  "required": ["path"]},
}
ERRORS = (400, 401, 403, 404, 429, 500)
CONCURRENT = 50


class Person(BaseModel):
    """What the structured case asks for."""

    name: str
    age: int
    tags: list[str]


def wire(response):
    """What arrived, of a raw response: status, body digest, the headers that must come through."""
    kept = ("content-type", "x-request-id", "x-mock-arrived", "x-ratelimit-remaining-requests", "content-encoding")
    body = response.http_response.read()
    return {"status": response.http_response.status_code, "sha256": hashlib.sha256(body).hexdigest(),
            "headers": {n: response.headers[n] for n in kept if n in response.headers}}


def failure(error):
    """A typed error: its class, and what a caller would branch on."""
    found = {"class": type(error).__name__}
    for name in ("status_code", "code", "type", "param", "request_id"):
        value = getattr(error, name, None)
        if value is not None:
            found[name] = value
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        found["body"] = body
    response = getattr(error, "response", None)
    if response is not None and response.headers.get("retry-after"):
        found["retry_after"] = response.headers["retry-after"]
    return found


class OpenAi:
    """The cases with the `openai` package."""

    errors = openai.APIError
    model = "gpt-4o-mini"

    def __init__(self, base_url, key):
        self.options = {"base_url": base_url + "/v1", "api_key": key, "timeout": 30}
        self.sdk = openai.OpenAI(max_retries=0, **self.options)

    def ask(self, text, sdk=None, **more):
        return (sdk or self.sdk).chat.completions.create(
            model=self.model, messages=[{"role": "user", "content": text}], **more)

    def text(self, prompt, **more):
        return self.ask(prompt, **more).choices[0].message.content

    def models(self):
        return [m.id for m in self.sdk.models.list()]

    def chat(self, prompt):
        done = self.ask(prompt)
        return {"text": done.choices[0].message.content, "finish": done.choices[0].finish_reason, "id": done.id,
                "usage": done.usage.model_dump(exclude_none=True), "request_id": done._request_id}

    def raw(self, prompt, stream=False):
        return wire(self.sdk.chat.completions.with_raw_response.create(
            model=self.model, messages=[{"role": "user", "content": prompt}], stream=stream))

    def stream(self, prompt):
        text, finish, usage = "", None, None
        for chunk in self.ask(prompt, stream=True, stream_options={"include_usage": True}):
            usage = chunk.usage.model_dump(exclude_none=True) if chunk.usage else usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
        return {"text": text, "finish": finish, "usage": usage}

    def stream_until_error(self, prompt):
        text = ""
        try:
            for chunk in self.ask(prompt, stream=True):
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        except self.errors as error:
            return text, error
        return text, None

    def tools(self):
        return [{"type": "function", "function": {"name": n, "parameters": p}} for n, p in TOOLS.items()]

    def tool_turn(self):
        first = self.ask("case:tools", tools=self.tools()).choices[0].message
        calls = [[c.function.name, json.loads(c.function.arguments)] for c in first.tool_calls]
        results = [{"role": "tool", "tool_call_id": c.id, "content": f"result of {c.function.name}"}
                   for c in first.tool_calls]
        second = self.sdk.chat.completions.create(
            model=self.model, tools=self.tools(),
            messages=[{"role": "user", "content": "case:tools"}, first.model_dump(exclude_none=True), *results])
        return {"calls": calls, "text": first.content, "then": second.choices[0].message.content}

    def stream_tools(self, prompt="case:tools"):
        names, arguments, text, finish = {}, {}, "", None
        for chunk in self.ask(prompt, stream=True, tools=self.tools()):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or []:
                    names.setdefault(call.index, call.function.name)
                    arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
        return {"text": text, "finish": finish, "joined": list(arguments.values()),
                "calls": [[names[i], json.loads(a)] for i, a in arguments.items()]}

    def structured(self):
        done = self.sdk.chat.completions.parse(
            model=self.model, messages=[{"role": "user", "content": "case:structured"}], response_format=Person)
        return done.choices[0].message.parsed.model_dump()

    def retrying(self, prompt):
        return self.text(prompt, sdk=openai.OpenAI(max_retries=2, **self.options))

    def impatient(self, prompt):
        return self.ask(prompt, timeout=0.5)

    async def many(self, prompts):
        sdk = openai.AsyncOpenAI(max_retries=0, **self.options)

        async def one(prompt):
            done = await sdk.chat.completions.create(
                model=self.model, messages=[{"role": "user", "content": prompt}])
            return done.choices[0].message.content

        return await asyncio.gather(*(one(p) for p in prompts))

    async def many_streams(self, prompts):
        sdk = openai.AsyncOpenAI(max_retries=0, **self.options)

        async def one(prompt):
            text = ""
            async for chunk in await sdk.chat.completions.create(
                    model=self.model, messages=[{"role": "user", "content": prompt}], stream=True):
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            return text

        return await asyncio.gather(*(one(p) for p in prompts))


class Anthropic:
    """The cases with the `anthropic` package."""

    errors = anthropic.APIError
    model = "claude-mock"

    def __init__(self, base_url, key):
        self.options = {"base_url": base_url, "api_key": key, "timeout": 30}
        self.sdk = anthropic.Anthropic(max_retries=0, **self.options)

    def body(self, prompt, **more):
        return {"model": self.model, "max_tokens": 256, "messages": [{"role": "user", "content": prompt}], **more}

    def ask(self, prompt, sdk=None, **more):
        return (sdk or self.sdk).messages.create(**self.body(prompt, **more))

    def text(self, prompt, **more):
        return self.ask(prompt, **more).content[0].text

    def models(self):
        return [m.id for m in self.sdk.models.list()]

    def chat(self, prompt):
        done = self.ask(prompt)
        usage = {"input": done.usage.input_tokens, "output": done.usage.output_tokens}
        return {"text": done.content[0].text, "finish": done.stop_reason, "id": done.id, "usage": usage,
                "request_id": done._request_id}

    def raw(self, prompt, stream=False):
        return wire(self.sdk.messages.with_raw_response.create(**self.body(prompt, stream=stream)))

    def stream(self, prompt):
        with self.sdk.messages.stream(**self.body(prompt)) as stream:
            text = "".join(stream.text_stream)
            done = stream.get_final_message()
        return {"text": text, "finish": done.stop_reason, "usage": done.usage.output_tokens}

    def stream_until_error(self, prompt):
        text = ""
        try:
            for event in self.ask(prompt, stream=True):
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    text += event.delta.text
        except self.errors as error:
            return text, error
        return text, None

    def tools(self):
        return [{"name": n, "input_schema": p} for n, p in TOOLS.items()]

    def tool_turn(self):
        first = self.ask("case:tools", tools=self.tools())
        uses = [b for b in first.content if b.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": u.id, "content": f"result of {u.name}"} for u in uses]
        second = self.sdk.messages.create(
            model=self.model, max_tokens=256, tools=self.tools(),
            messages=[{"role": "user", "content": "case:tools"},
                      {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in first.content]},
                      {"role": "user", "content": results}])
        return {"calls": [[u.name, u.input] for u in uses], "text": first.content[0].text,
                "then": second.content[0].text}

    def stream_tools(self, prompt="case:tools"):
        joined = {}
        with self.sdk.messages.stream(**self.body(prompt, tools=self.tools())) as stream:
            for event in stream:
                if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                    joined[event.index] = joined.get(event.index, "") + event.delta.partial_json
            done = stream.get_final_message()
        return {"text": "".join(b.text for b in done.content if b.type == "text"), "finish": done.stop_reason,
                "joined": list(joined.values()),
                "calls": [[b.name, b.input] for b in done.content if b.type == "tool_use"]}

    def structured(self):
        done = self.sdk.messages.parse(**self.body("case:structured"), output_format=Person)
        return done.parsed_output.model_dump()

    def retrying(self, prompt):
        return self.text(prompt, sdk=anthropic.Anthropic(max_retries=2, **self.options))

    def impatient(self, prompt):
        return self.ask(prompt, timeout=0.5)

    async def many(self, prompts):
        sdk = anthropic.AsyncAnthropic(max_retries=0, **self.options)

        async def one(prompt):
            return (await sdk.messages.create(**self.body(prompt))).content[0].text

        return await asyncio.gather(*(one(p) for p in prompts))

    async def many_streams(self, prompts):
        sdk = anthropic.AsyncAnthropic(max_retries=0, **self.options)

        async def one(prompt):
            async with sdk.messages.stream(**self.body(prompt)) as stream:
                return "".join([text async for text in stream.text_stream])

        return await asyncio.gather(*(one(p) for p in prompts))


def error_case(client, number):
    """The typed error of one HTTP status."""
    def run():
        try:
            client.ask(f"case:{number}")
        except client.errors as error:
            return failure(error)
        return {"class": "none raised"}
    return run


def midstream(client, prompt):
    """The typed error of an error event after HTTP 200, and the text before it."""
    text, error = client.stream_until_error(prompt)
    return {"text": text, **(failure(error) if error else {"class": "none raised"})}


def dropped(client):
    """A connection that breaks off mid stream: an exception must reach the caller, of whatever class."""
    try:
        _, error = client.stream_until_error("case:drop")
    except Exception:  # some let their HTTP library's own exception through here
        return {"raised": True}
    return {"raised": error is not None}


def retry(client, label):
    """429 with Retry-After, then an answer: the SDK waits and tries again by itself."""
    begin = time.monotonic()
    text = client.retrying(f"case:retry {type(client).__name__}-python-{label}")
    return {"text": text, "waited": 0.9 <= time.monotonic() - begin < 5}


def impatient(client):
    """A client-side timeout."""
    try:
        client.impatient("case:slow 2")
    except client.errors as error:
        return {"class": type(error).__name__}
    return {"class": "none raised"}


def cases(client, label):
    """Name and function of every case, in running order."""
    prompts = [f"Please repeat sentence number {n} of the list." for n in range(CONCURRENT)]
    return {
        "models": client.models,
        "chat": lambda: client.chat("case:prose"),
        "echo_unicode": lambda: client.text("Grüße 東京 🌤️ \"quoted\" back\\slash\nnew line"),
        "unicode": lambda: client.text("case:unicode"),
        "raw_bytes": lambda: client.raw("case:unicode"),
        "raw_gzip": lambda: client.raw("case:gzip"),
        "raw_stream": lambda: client.raw("case:unicode", stream=True),
        "stream": lambda: client.stream("case:prose"),
        "stream_unicode": lambda: client.stream("case:unicode"),
        "stream_long": lambda: hashlib.sha256(client.stream("case:long 200")["text"].encode()).hexdigest(),
        "tools": client.tool_turn,
        "stream_tools": client.stream_tools,
        "structured": client.structured,
        "retry_after": lambda: retry(client, label),
        **{f"error_{n}": error_case(client, n) for n in ERRORS},
        "error_midstream": lambda: midstream(client, "case:midstream"),
        "error_dropped": lambda: dropped(client),
        "error_timeout": lambda: impatient(client),
        "concurrent_50": lambda: asyncio.run(client.many(prompts)),
        "concurrent_50_streams": lambda: asyncio.run(client.many_streams(prompts)),
    }


def main():
    """Runs the cases and writes one JSON line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", choices=("openai", "anthropic"), required=True)
    for name in ("--base-url", "--key", "--label", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--cases", default="")
    options = parser.parse_args()
    client = {"openai": OpenAi, "anthropic": Anthropic}[options.client](options.base_url, options.key)
    wanted = set(filter(None, options.cases.split(",")))
    with open(options.out, "w", encoding="utf-8") as out:
        for name, run in cases(client, options.label).items():
            if wanted and name not in wanted:
                continue
            try:
                result = run()
            except Exception as error:
                result = {"unexpected": f"{type(error).__name__}: {str(error)[:300]}"}
            line = {"client": f"{options.client}-python", "case": name, "result": result}
            out.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
