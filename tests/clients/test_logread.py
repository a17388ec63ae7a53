"""Tests logread.py with a log written here, by hand, from DESIGN section 4: it reads it, and finds any changed byte.

    .venv/bin/python test_logread.py
"""

import base64
import hashlib
import pathlib
import random
import sys
import tempfile
import unittest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import logread

ORIGIN = "sealgate-test/1"
TIME = "2026-11-22T00:00:00.000000Z"


def b64(raw):
    """Base64 as text."""
    return base64.b64encode(raw).decode()


class Writer:
    """Writes segments and the published checkpoint of a small log."""

    def __init__(self, data):
        self.data = pathlib.Path(data)
        (self.data / "keys").mkdir(parents=True)
        (self.data / "log/1").mkdir(parents=True)
        self.log_key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        pem = self.log_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.data / "keys/log.pem").write_bytes(pem)
        self.tree, self.count, self.lines, self.epoch = logread.Tree(), 0, b"", None

    @staticmethod
    def public(key):
        """Raw public key."""
        return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def record(self, kind, key=None, sections=None, **fields):
        """Appends a record; `sections` maps names to ciphertext."""
        key = key or self.epoch
        references = {n: {"key": "0" * 32, "plain": "0" * 64, "sealed": hashlib.sha256(c).hexdigest()}
                      for n, c in (sections or {}).items()}
        identity = f"00000000-0000-7000-8000-{self.count:012x}"
        head = {"v": 1, "kind": kind, "id": identity, "time": TIME, "sections": references, **fields}
        message = f"sealgate/record/v1\n{ORIGIN}\n{self.count}\n".encode() + logread.encode(head)
        line = logread.encode({"head": head, "key": logread.key_id(self.public(key)), "sig": b64(key.sign(message))})
        self.tree.append(hashlib.sha256(b"\x00" + line).digest())
        self.lines += line + b"\n"
        if sections:
            held = {**{n: b64(c) for n, c in sections.items()}, "index": self.count}
            self.lines += logread.encode({"sections": held}) + b"\n"
        self.count += 1

    def note(self, key):
        """A signed checkpoint note."""
        text = f"{ORIGIN}\n{self.tree.size}\n{b64(self.tree.root())}\n"
        mark = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + self.public(key)).digest()[:4]
        return f"{text}\n\u2014 {ORIGIN} {b64(mark + key.sign(text.encode()))}\n"

    def commit(self):
        """Closes the group."""
        self.lines += logread.encode({"checkpoint": self.note(self.epoch)}) + b"\n"

    def boot(self, seed):
        """A new epoch: key.certified, boot."""
        self.epoch = Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))
        public = self.public(self.epoch)
        self.record("key.certified", key=self.log_key, epoch=logread.key_id(public), public=b64(public))
        self.record("boot", version="0.1.0")
        self.commit()

    def segment(self, first):
        """Writes what was appended since the last segment."""
        (self.data / f"log/1/{first:012}.jsonl").write_bytes(self.lines)
        self.lines = b""

    def finish(self):
        """Publishes the checkpoint."""
        (self.data / "log/1/checkpoint").write_text(self.note(self.log_key))


def write(data):
    """Two segments, two boots, sections, a hand-over."""
    log = Writer(data)
    log.boot(1)
    log.record("heartbeat", open=0)
    log.record("token.created", sections={"identity": b"sealed bytes"}, role="dev\u00e9loper \"quoted\"\t")
    log.commit()
    log.segment(0)
    first = log.count
    log.boot(2)
    fresh = Ed25519PrivateKey.from_private_bytes(bytes([3] * 32))
    public = log.public(fresh)
    message = f"sealgate/handover/v1\n{ORIGIN}\n{log.count}\n".encode() + public
    handover = b64(log.epoch.sign(message))
    log.record("key.certified", key=log.log_key, epoch=logread.key_id(public), public=b64(public), handover=handover)
    log.epoch = fresh
    log.record("shutdown")
    log.commit()
    log.segment(first)
    log.finish()


class Reading(unittest.TestCase):
    """The reader against the hand-written log."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.data = pathlib.Path(self.folder.name)
        write(self.data)

    def tearDown(self):
        self.folder.cleanup()

    def test_a_whole_log_reads(self):
        log = logread.Log(self.data, allow_tail=False)
        self.assertEqual((log.committed, log.boots, log.origin, log.published), (8, 2, ORIGIN, 8))

    def test_any_changed_byte_is_found(self):
        chance = random.Random(5)
        for path in sorted((self.data / "log/1").iterdir()):
            original = path.read_bytes()
            for at in range(len(original)):
                changed = bytearray(original)
                changed[at] ^= 1 << chance.randrange(8)
                path.write_bytes(changed)
                with self.assertRaises(logread.LogFault, msg=f"byte {at} of {path.name}"):
                    logread.Log(self.data, allow_tail=False)
            path.write_bytes(original)

    def test_a_removed_line_and_a_cut_end_are_found(self):
        path = self.data / "log/1/000000000004.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        for missing in range(len(lines)):
            path.write_bytes(b"".join(lines[:missing] + lines[missing + 1:]))
            with self.assertRaises(logread.LogFault):
                logread.Log(self.data, allow_tail=False)
        path.write_bytes(b"".join(lines[:3]))
        with self.assertRaises(logread.LogFault):
            logread.Log(self.data)

    def test_an_unfinished_tail_is_uncommitted(self):
        path = self.data / "log/1/000000000004.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines) + lines[1][:40])
        self.assertEqual(logread.Log(self.data).committed, 8)

    def test_tree_is_that_of_rfc_6962(self):
        tree = logread.Tree()
        for leaf in (b"", b"\x00", b"\x10"):
            tree.append(hashlib.sha256(b"\x00" + leaf).digest())
        # The published root of the first three leaves of the certificate-transparency test tree.
        self.assertEqual(tree.root().hex(), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77")


if __name__ == "__main__":
    sys.exit(unittest.main())
