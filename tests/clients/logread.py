"""A second reader and verifier of Sealgate's log, written from DESIGN section 4 alone, in plain Python.

It shares no code with Sealgate, so that a mistake there is not repeated here. It checks canonical bytes, line order,
the RFC 6962 tree, every checkpoint note, section hashes, decision/completion pairing, the published checkpoint, and,
where the `cryptography` package is present, every signature.

Not checked here: erasure predicates (a missing section is a fault), anchors, the contents of sealed sections.

    python3 logread.py DATA        prints one line, exit 0 or 1

Sources: RFC 8785 (canonical JSON), RFC 6962 section 2.1 (tree), RFC 8032 (Ed25519), C2SP signed-note, C2SP
tlog-checkpoint.
"""

import base64
import binascii
import hashlib
import json
import pathlib
import re
import sys

RECORD_LINE_MAX_BYTES = 60 * 1024
SECTIONS_LINE_MAX_BYTES = 64 * 1024
INTEGER_LIMIT = 2**53
SEGMENT_RECORDS = 65_536
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
HEX64, HEX32 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")
DECISION = set("v kind id request time tenant route vendor model operation subject actor principal roles auth label "
               "classes coverage facts policy detectors rules verdict outcome mode reason retention durability trace "
               "synthetic truncated sections".split())
COMPLETION = set("v kind id request decision time status http_status model_served label classes coverage facts policy "
                 "detectors rules verdict outcome mode reason usage bytes micros truncated sections".split())


class LogFault(Exception):
    """What is wrong, and where."""

    def __init__(self, where, why):
        super().__init__(f"{where}: {why}")


class Record:
    """One record line and what belongs to it."""

    def __init__(self, index, line, where):
        self.index, self.line, self.where = index, line, where
        document = parse(line, where)
        if set(document) != {"head", "key", "sig"}:
            raise LogFault(where, "a record line has head, key and sig")
        self.head, self.key = document["head"], document["key"]
        self.signature = unbase64(document["sig"], where)
        # The head's bytes inside the line: it is canonical, so re-encoding gives them.
        self.head_bytes = encode(self.head)
        self.leaf = hashlib.sha256(b"\x00" + line).digest()

    @property
    def kind(self):
        """The head's kind."""
        return self.head["kind"]


def encode(value):
    """RFC 8785 for what version 1 allows: strings, integers, booleans, arrays, objects with ASCII names."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(line, where):
    """Strict JSON whose bytes are canonical."""
    def pairs(items):
        names = [name for name, _ in items]
        if len(set(names)) != len(names):
            raise LogFault(where, "duplicate key")
        return dict(items)

    def no_float(_):
        raise LogFault(where, "a float")

    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=pairs, parse_float=no_float, parse_constant=no_float)
    except (ValueError, RecursionError) as error:
        raise LogFault(where, f"not JSON: {error}") from None
    check_values(value, where)
    if encode(value) != line:
        raise LogFault(where, "not canonical bytes")
    return value


def check_values(value, where):
    """No nulls, no wide integers, ASCII names."""
    if value is None:
        raise LogFault(where, "a null")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= INTEGER_LIMIT:
        raise LogFault(where, "an integer beyond 2^53")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not name.isascii():
                raise LogFault(where, "a field name that is not ASCII")
            check_values(inner, where)
    if isinstance(value, list):
        for inner in value:
            check_values(inner, where)


def unbase64(text, where):
    """RFC 4648 section 4 with padding, in its one spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise LogFault(where, "not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise LogFault(where, "base64 in another spelling")
    return raw


class Tree:
    """RFC 6962 Merkle tree over leaves, by its frontier of perfect subtrees."""

    def __init__(self):
        self.size, self.stack = 0, []

    def append(self, leaf):
        """Adds a leaf hash."""
        self.stack.append(leaf)
        carry = self.size
        while carry & 1:
            right, left = self.stack.pop(), self.stack.pop()
            self.stack.append(hashlib.sha256(b"\x01" + left + right).digest())
            carry >>= 1
        self.size += 1

    def root(self):
        """The tree head's hash."""
        if not self.stack:
            return hashlib.sha256(b"").digest()
        root = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


class Note:
    """A C2SP signed note that holds a tlog-checkpoint."""

    def __init__(self, text, where):
        body, separator, signatures = text.partition("\n\n")
        if not separator or not text.endswith("\n"):
            raise LogFault(where, "not a signed note")
        self.text = body + "\n"
        lines = body.split("\n")
        if len(lines) != 3 or not re.fullmatch(r"0|[1-9]\d*", lines[1]):
            raise LogFault(where, "a checkpoint has origin, size and root")
        self.origin, self.size, self.root = lines[0], int(lines[1]), unbase64(lines[2], where)
        self.signatures = []
        for line in signatures.splitlines():
            mark, name, blob = (line.split(" ") + ["", ""])[:3]
            raw = unbase64(blob, where)
            if mark != "\u2014" or len(raw) != 68:
                raise LogFault(where, "a malformed signature line")
            self.signatures.append((name, raw[:4], raw[4:]))

    def signed_by(self, public, signature_check):
        """Whether one of its signatures is that key's, under the note's own origin as the key's name."""
        expected = hashlib.sha256(self.origin.encode() + b"\n\x01" + public).digest()[:4]
        return any(name == self.origin and mark == expected and signature_check(public, self.text.encode(), signature)
                   for name, mark, signature in self.signatures)


def ed25519(public, message, signature):
    """Verifies; without the `cryptography` package it says so by raising ImportError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def log_public_key(data):
    """The raw public key of `keys/log.pem` (PKCS#8; the seed follows 04 22 04 20)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    pem = (pathlib.Path(data) / "keys/log.pem").read_text()
    der = base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))
    at = der.index(b"\x04\x22\x04\x20") + 4
    private = Ed25519PrivateKey.from_private_bytes(der[at:at + 32])
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public):
    """The first 32 hex digits of SHA-256 of the raw public key."""
    return hashlib.sha256(public).hexdigest()[:32]


class Log:
    """A whole generation, verified while it is read. After `Log(data)`: `records`, `committed`, `boots`, `origin`."""

    def __init__(self, data, generation=None, signatures=True, allow_tail=True):
        self.data = pathlib.Path(data)
        generations = sorted((p for p in (self.data / "log").iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
        self.folder = self.data / "log" / str(generation) if generation else generations[-1]
        self.check = ed25519 if signatures else (lambda *_: True)
        self.log_key = log_public_key(self.data) if signatures else None
        self.records, self.committed, self.boots, self.origin = [], 0, 0, None
        self.sections, self.roots, self.keys = {}, {}, {}
        self.tree, self.current, self._pending = Tree(), None, []
        self._awaiting, self._begin_group = None, True
        self._read(allow_tail)
        self._check_pairs()
        self._check_published()

    # ---- lines ---------------------------------------------------------------------------------------------

    def _read(self, allow_tail):
        segments = sorted(self.folder.glob("*.jsonl"))
        for number, path in enumerate(segments):
            if not re.fullmatch(r"\d{12}\.jsonl", path.name) or int(path.stem) != len(self.records):
                raise LogFault(path.name, f"this segment should be named {len(self.records):012}.jsonl")
            # The live segment may grow, or be cut off inside a line, while we read it.
            raw = path.read_bytes()
            last = number == len(segments) - 1
            lines = raw.split(b"\n")
            rest = lines.pop()
            if rest and not (last and allow_tail):
                raise LogFault(path.name, "an unterminated line")
            for at, line in enumerate(lines, 1):
                self._line(line, f"{path.name} line {at}")
            if not last and self._pending:
                raise LogFault(path.name, "a group crosses segments")
        if self._pending and not allow_tail:
            raise LogFault("log", f"{len(self._pending)} records after the last checkpoint")

    def _line(self, line, where):
        try:
            self._dispatch(line, where)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise LogFault(where, f"a field is missing or has another type: {error!r}") from None

    def _dispatch(self, line, where):
        if line.startswith(b'{"checkpoint":'):
            self._checkpoint(line, where)
        elif line.startswith(b'{"sections":'):
            self._sections(line, where)
        else:
            self._record(line, where)

    def _record(self, line, where):
        if self._awaiting is not None:
            raise LogFault(where, f"record {self._awaiting.index} lost its sections line")
        if len(line) > RECORD_LINE_MAX_BYTES:
            raise LogFault(where, "a record line over 60 KiB")
        record = Record(len(self.records), line, where)
        self._check_head(record)
        self._check_key(record)
        self.records.append(record)
        self.tree.append(record.leaf)
        self._pending.append(record)
        self._begin_group = False
        if record.head["sections"]:
            self._awaiting = record

    def _sections(self, line, where):
        record, self._awaiting = self._awaiting, None
        if record is None:
            raise LogFault(where, "sections that no record names")
        if len(line) > SECTIONS_LINE_MAX_BYTES:
            raise LogFault(where, "a sections line over 64 KiB")
        held = parse(line, where)["sections"]
        if held.pop("index", None) != record.index or set(held) != set(record.head["sections"]):
            raise LogFault(where, f"sections of another record than {record.index}")
        for name, text in held.items():
            reference = record.head["sections"][name]
            if set(reference) != {"key", "plain", "sealed"} or not HEX32.fullmatch(reference["key"]):
                raise LogFault(where, f"section `{name}` has a malformed reference")
            if hashlib.sha256(unbase64(text, where)).hexdigest() != reference["sealed"]:
                raise LogFault(where, f"section `{name}` of record {record.index} was changed")
        self.sections[record.index] = held

    def _checkpoint(self, line, where):
        if self._awaiting is not None or not self._pending:
            raise LogFault(where, "a checkpoint in the wrong place")
        document = parse(line, where)
        if set(document) != {"checkpoint"}:
            raise LogFault(where, "a checkpoint line has nothing else")
        note = Note(document["checkpoint"], where)
        self.origin = self.origin or note.origin
        if note.origin != self.origin or not note.origin.endswith("/" + self.folder.name):
            raise LogFault(where, "another origin")
        if note.size != self.tree.size or note.root != self.tree.root():
            raise LogFault(where, f"the checkpoint's root is not that of its {note.size} records")
        if self.check is ed25519:
            for record in self._pending:
                self._verify(record)
            if not note.signed_by(self.keys[self.current], self.check):
                raise LogFault(where, "the checkpoint is not signed by the epoch key in force")
        self.roots[note.size] = note.root
        self.committed, self._pending, self._begin_group = self.tree.size, [], True

    # ---- records -------------------------------------------------------------------------------------------

    def _check_head(self, record):
        head, where = record.head, record.where
        if head.get("v") != 1 or not TIME.fullmatch(head.get("time", "")) or not UUID7.fullmatch(head.get("id", "")):
            raise LogFault(where, "head without version, time or id in their form")
        expected = {"decision": DECISION, "completion": COMPLETION}.get(head["kind"])
        if expected and not (expected - {"trace"} <= set(head) <= expected):
            raise LogFault(where, f"head fields differ: {sorted(set(head) ^ expected)}")

    def _check_key(self, record):
        if record.kind == "key.certified":
            public = unbase64(record.head["public"], record.where)
            if not self._begin_group or len(public) != 32 or key_id(public) != record.head["epoch"]:
                raise LogFault(record.where, "a key.certified that is not first in its group, or names another key")
            record.signer = self.log_key
            record.outgoing = self.keys.get(self.current)
            if self.log_key is not None and record.key != key_id(self.log_key):
                raise LogFault(record.where, "key.certified is not by the log key")
            self.current = record.head["epoch"]
            self.keys[self.current] = public
            return
        if record.kind == "boot":
            before = self.records[-1] if self.records else None
            if before is None or before.kind != "key.certified" or "handover" in before.head:
                raise LogFault(record.where, "a boot without its key.certified")
            self.boots += 1
        if record.key != self.current:
            raise LogFault(record.where, "signed by a key that is not in force")
        record.signer = self.keys[self.current]

    def _verify(self, record):
        prefix = f"sealgate/record/v1\n{self.origin}\n{record.index}\n".encode()
        if not self.check(record.signer, prefix + record.head_bytes, record.signature):
            raise LogFault(record.where, f"the signature of record {record.index} does not verify")
        if "handover" in record.head:
            message = (f"sealgate/handover/v1\n{self.origin}\n{record.index}\n".encode()
                       + unbase64(record.head["public"], record.where))
            if not self.check(record.outgoing, message, unbase64(record.head["handover"], record.where)):
                raise LogFault(record.where, "the hand-over does not verify")

    def _check_pairs(self):
        self.decisions, self.completions = {}, {}
        for record in self.records:
            if record.kind == "decision":
                self.decisions[record.index] = record
            elif record.kind == "completion":
                decision = self.decisions.get(record.head["decision"])
                if decision is None or decision.head["request"] != record.head["request"]:
                    raise LogFault(record.where, "a completion of no decision before it")
                if decision.index in self.completions:
                    raise LogFault(record.where, f"a second completion of decision {decision.index}")
                self.completions[decision.index] = record

    def _check_published(self):
        path = self.folder / "checkpoint"
        if not path.is_file():
            if self.committed:
                raise LogFault("checkpoint", "missing")
            return
        try:
            note = Note(path.read_bytes().decode(), "checkpoint")
        except ValueError:
            raise LogFault("checkpoint", "not UTF-8") from None
        if note.origin != self.origin or note.size > self.committed:
            raise LogFault("checkpoint", f"it covers {note.size} records, the log has {self.committed}")
        tree = Tree()
        for record in self.records[:note.size]:
            tree.append(record.leaf)
        if tree.root() != note.root:
            raise LogFault("checkpoint", "another root")
        if self.log_key is not None and not note.signed_by(self.log_key, self.check):
            raise LogFault("checkpoint", "not signed by the log key")
        self.published = note.size

    # ---- answers -------------------------------------------------------------------------------------------

    @property
    def open(self):
        """Decisions without a completion."""
        return [r for i, r in self.decisions.items() if i not in self.completions]

    def pair(self, request):
        """(decision head, completion head or None) of a request id, or None."""
        for index, record in self.decisions.items():
            if record.head["request"] == request:
                done = self.completions.get(index)
                return record.head, done.head if done else None
        return None


def decisions_on_disk(data):
    """Request ids of every decision that a committed group holds at this moment; no signatures, for tight loops."""
    log = Log(data, signatures=False)
    return {r.head["request"] for r in log.decisions.values() if r.index < log.committed}


def main():
    """One line about one data directory."""
    try:
        log = Log(sys.argv[1])
    except LogFault as fault:
        print(f"INVALID {fault}")
        return 1
    print(f"OK {log.committed} records, {len(log.decisions)} decisions, {len(log.completions)} completions, "
          f"{len(log.open)} open, {log.boots} boots, {len(log.records) - log.committed} uncommitted, {log.origin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
