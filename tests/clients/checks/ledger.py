"""Durability, order and truth of the log: before the vendor, under failing disks, under kill -9, under tampering."""

import json
import random
import shutil
import threading
import time

import gateway
import logread
from mock_vendor import MockVendor

from . import AWS_KEY, DEMO_KEYS, KEYS, check, equal, expect, header, metric, refused, spelled, wait_until

CLIENTS = 8
KILLS = 20


def committed_models(data):
    """Models of all decisions that lie before a checkpoint line, by looking at bytes only (fast, no verification)."""
    found = set()
    for segment in sorted((data / "log").glob("*/*.jsonl")):
        raw = segment.read_bytes()
        kept = raw[:raw.rfind(b'{"checkpoint":')]
        for line in kept.splitlines():
            if line.startswith(b'{"head":') and b'"kind":"decision"' in line:
                at = line.index(b'"model":"') + 9
                found.add(line[at:line.index(b'"', at)].decode())
    return found


class Watch:
    """A vendor that looks into the log at the moment it receives a request."""

    def __init__(self):
        self.data = None
        self.seen, self.missing = [], []
        self.vendor = MockVendor(KEYS, on_request=self.look).start()

    def look(self, request):
        model = request.json()["model"]
        self.seen.append(model)
        if model not in committed_models(self.data):
            self.missing.append(model)


def load(sealgate, numbers, answered, stop=lambda: False, stream_every=4):
    """Sends chats with one model name each until told to stop; notes what was answered in full."""
    for number in numbers:
        if stop():
            return
        model = f"check-{spelled(number)}"
        try:
            if stream_every and number % stream_every == 0:
                status, headers, body = sealgate.chat("Please tell me about the weather.", model=model, stream=True)
                whole = body.endswith(b"data: [DONE]\n\n")
            else:
                status, headers, body = sealgate.chat("Please tell me about the weather.", model=model)
                whole = json.loads(body)["model"] == model
        except (OSError, ValueError, KeyError, gateway.http.client.HTTPException):
            continue  # cut off by the kill: not answered
        if status == 200 and whole:
            answered[model] = header(headers, "sealgate-request")


def in_parallel(sealgate, answered, first, each=10**9, stop=lambda: False):
    """Starts eight client threads with distinct request numbers."""
    threads = []
    for client in range(CLIENTS):
        numbers = range(first + client, first + client + CLIENTS * each, CLIENTS)
        threads.append(threading.Thread(target=load, args=(sealgate, numbers, answered, stop), daemon=True))
        threads[-1].start()
    return threads


@check("at the moment a vendor receives a request its decision is already on disk (serially and with 8 clients)")
def decision_before_vendor(folder):
    watch = Watch()
    with gateway.Gateway(folder, watch.vendor.url, KEYS) as sealgate:
        watch.data, answered = sealgate.data, {}
        load(sealgate, range(40), answered)
        serial = len(watch.seen)
        for thread in in_parallel(sealgate, answered, 1000, each=25):
            thread.join()
    equal(watch.vendor.faults, [], "the vendor could not read the log")
    equal((serial, len(watch.seen)), (40, 240), "requests that reached the vendor, serially and in all")
    equal(watch.missing, [], "requests at the vendor without a decision on disk")
    equal(len(answered), 240, "requests answered")
    log = logread.Log(sealgate.data, allow_tail=False)
    equal(len(log.open), 0, "open decisions after a drain")
    return f"{len(watch.seen)} requests, {log.committed} records"


@check("with fdatasync made to fail the vendor receives nothing more and clients get 503")
def failing_fdatasync(folder):
    expect(shutil.which("strace"), "`strace` is missing: install it")
    watch = Watch()
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync",
              "-e", "inject=fdatasync:error=EIO:when=60+"]
    sealgate = gateway.Gateway(folder, watch.vendor.url, KEYS, wrap=strace).start()
    try:
        watch.data, status, number = sealgate.data, 200, 0
        while status == 200 and number < 400:
            status, _, body = sealgate.chat("Please tell me about the weather.", model=f"check-{spelled(number)}")
            number += 1
        equal(status, 503, f"the first refusal after {number} requests ({body[:200]!r})")
        expect(b"ledger.unavailable" in body, f"the 503 does not say `ledger.unavailable`: {body[:300]!r}")
        received = len(watch.seen)
        statuses, lock = [], threading.Lock()

        def more(first):
            for n in range(5):
                found = sealgate.chat("Please go on.", model=f"later-{spelled(first * 10 + n)}")[0]
                with lock:
                    statuses.append(found)

        threads = [threading.Thread(target=more, args=(c,)) for c in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(set(statuses), {503}, "statuses after the failure")
        equal(len(watch.seen), received, "requests at the vendor after the failure")
        equal(watch.missing, [], "requests at the vendor without a decision on disk")
        metrics = sealgate.get_admin("/metrics")[1]
        equal(metric(metrics, "sealgate_ledger_poisoned"), 1, "sealgate_ledger_poisoned")
        expect((metric(metrics, "sealgate_unrecorded_refusals_total") or 0) >= len(statuses),
               "sealgate_unrecorded_refusals_total does not count the refusals")
        equal(sealgate.get_admin("/readyz")[0], 503, "/readyz when poisoned")
    finally:
        sealgate.kill9()
    # The next start must repair or accept what stands, and serve again.
    sealgate.wrap = []
    with sealgate:
        equal(sealgate.chat("Please tell me about the weather.")[0], 200, "after a restart")
    done = sealgate.cli("records", "verify")
    expect(done.returncode == 0 and done.stdout.startswith("OK"), f"verify: {done.stdout[:300]}{done.stderr[:300]}")
    return f"503 after {number} requests, then {len(statuses)} of {len(statuses)}"


@check("twenty kill -9 under load by 8 clients: answered = completed, open = one orphan each, verify OK")
def kill_nine(folder):
    vendor = MockVendor(KEYS).start()
    sealgate = gateway.Gateway(folder, vendor.url, KEYS)
    answered, chance, per_round = {}, random.Random(7), []
    for round_number in range(KILLS):
        sealgate.start()
        over = threading.Event()
        before = len(answered)
        threads = in_parallel(sealgate, answered, round_number * 1_000_000, stop=over.is_set)
        time.sleep(chance.uniform(0.15, 0.7))
        sealgate.kill9()
        over.set()
        for thread in threads:
            thread.join()
        per_round.append(len(answered) - before)
    sealgate.start()
    sealgate.stop()
    log = logread.Log(sealgate.data, allow_tail=False)
    equal(log.boots, KILLS + 1, "boots in the log")
    equal(len(log.open), 0, "decisions without a completion after the last restart")
    by_request = {r.head["request"]: (r.head, log.completions[i].head) for i, r in log.decisions.items()}
    for model, request in answered.items():
        expect(request in by_request, f"an answered request has no decision: {request}")
        decision, completion = by_request[request]
        equal((decision["model"], completion["status"]), (model, "completed"), f"records of answered {request}")
    statuses = {}
    for _, completion in by_request.values():
        statuses[completion["status"]] = statuses.get(completion["status"], 0) + 1
    expect(set(statuses) <= {"completed", "orphan", "client_aborted"}, f"statuses {statuses}")
    decided = {decision["model"] for decision, _ in by_request.values()}
    unseen = {r.json()["model"] for r in vendor.requests} - decided
    equal(unseen, set(), "models at the vendor without a decision")
    expect(min(per_round) > 0, f"a round answered nothing: {per_round}")
    expect(statuses.get("orphan", 0) > 0, "no kill hit an open request: the check showed nothing")
    done = sealgate.cli("records", "verify")
    expect(done.returncode == 0 and done.stdout.startswith("OK"), f"verify: {done.stdout[:400]}{done.stderr[:300]}")
    return f"{len(answered)} answered, {statuses}, {log.committed} records, {log.boots} boots"


@check("a request cut by the client, refused by policy, by identity, for malformed JSON: two records, right reason")
def two_records_each(folder):
    vendor = MockVendor(KEYS).start()
    other = "sg_" + "A" * 43
    with gateway.Gateway(folder, vendor.url, KEYS) as sealgate:
        wanted = {}
        secret = f"My key is {AWS_KEY}."
        for ask in (sealgate.chat, sealgate.messages):
            wanted[refused(ask(secret), 403, "dlp.secret")] = ("denied", "denied", "dlp.secret")
        wanted[refused(sealgate.chat("Hello.", token=""), 401, "identity.missing")] = (
            "denied", "denied", "identity.missing")
        wanted[refused(sealgate.chat("Hello.", token=other), 401, "identity.invalid")] = (
            "denied", "denied", "identity.invalid")
        both = {"authorization": f"Bearer {sealgate.token}", "x-api-key": other, "content-type": "application/json"}
        answer = sealgate.request("POST", "/openai/v1/chat/completions", b"{}", both)
        wanted[refused(answer, 401, "identity.conflict")] = ("denied", "denied", "identity.conflict")
        headers = {"authorization": f"Bearer {sealgate.token}", "content-type": "application/json"}
        answer = sealgate.request("POST", "/openai/v1/chat/completions", b'{"model": "gpt", "messages": [', headers)
        wanted[refused(answer, 422, "request.malformed")] = ("denied", "denied", "request.malformed")
        answer = sealgate.request("POST", "/nowhere/v1/chat/completions", b"{}", headers)
        request = header(answer[1], "sealgate-request")
        equal(answer[0], 404, "status on an unknown path")
        wanted[request] = ("denied", "denied", "route.unknown")
        received = len(vendor.requests)
        wanted[cut(sealgate)] = ("allowed", "client_aborted", "client.aborted")
        wait_until(lambda: logread.Log(sealgate.data, signatures=False).open == [], "the cut request's completion")
    equal(received, 0, "refused requests that reached the vendor")
    log = logread.Log(sealgate.data, allow_tail=False)
    for request, (outcome, status, reason) in wanted.items():
        pair = log.pair(request)
        expect(pair and pair[1], f"no two records for {reason} ({request})")
        found = (pair[0]["outcome"], pair[1]["status"], pair[1]["reason"])
        equal(found, (outcome, status, reason), f"records of {request}")
        equal(pair[1]["bytes"]["forwarded"] == 0, outcome == "denied", f"{reason}: bytes forwarded")
    equal(len(log.decisions), len(wanted), "decisions in the log")
    return f"{len(wanted)} requests"


def cut(sealgate):
    """Starts a slow stream and goes away after the first text; the request id."""
    body = json.dumps({"model": "gpt-4o-mini", "stream": True,
                       "messages": [{"role": "user", "content": "case:paced 0.1"}]})
    connection = gateway.http.client.HTTPConnection("127.0.0.1", sealgate.port, timeout=20)
    connection.request("POST", "/openai/v1/chat/completions", body,
                       {"authorization": f"Bearer {sealgate.token}", "content-type": "application/json"})
    answer = connection.getresponse()
    equal(answer.status, 200, "status of the stream to be cut")
    answer.read(200)
    answer.close()
    connection.close()
    return answer.headers["sealgate-request"]


@check("change one byte anywhere under data/log/: INVALID, which record and why, exit 1")
def tampering(folder):
    vendor = MockVendor(DEMO_KEYS).start()
    with gateway.Gateway(folder, vendor.url, DEMO_KEYS) as sealgate:
        for number in range(6):
            sealgate.chat("Please tell me about the weather.", stream=number % 2 == 0)
        sealgate.chat("Please write to nobody@nowhere.example today.", route_path="/demo")
        sealgate.chat("Hello.", token="")
    verify = sealgate.cli("records", "verify")
    expect(verify.returncode == 0 and verify.stdout.startswith("OK"), f"verify: {verify.stdout}{verify.stderr}")
    files = sorted(p for p in (sealgate.data / "log").rglob("*") if p.is_file())
    expect(len(files) >= 2, "a segment and a published checkpoint")
    chance, tried, own, missed = random.Random(11), 0, 0, []
    for path in files:
        original = path.read_bytes()
        for at in sorted({0, len(original) - 1, *(chance.randrange(len(original)) for _ in range(40))}):
            changed = bytearray(original)
            changed[at] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            done = sealgate.cli("records", "verify")
            tried += 1
            place = f"byte {at} of {path.name}, {original[at]:#x} to {changed[at]:#x}"
            if done.returncode != 1 or not done.stdout.startswith("INVALID"):
                missed.append(f"{place}: exit {done.returncode}: {done.stdout[:200]}{done.stderr[:200]}")
            elif len(done.stdout.strip()) <= len("INVALID") + 10:
                missed.append(f"{place}: no word about which record and why: {done.stdout[:200]}")
            try:
                logread.Log(sealgate.data, allow_tail=False)
            except logread.LogFault:
                own += 1
        path.write_bytes(original)
    done = sealgate.cli("records", "verify")
    equal(done.returncode, 0, "verify after putting the bytes back")
    equal(own, tried, "changes that the Python reader found too")
    expect(not missed, f"{len(missed)} of {tried} changes: " + "; ".join(missed[:3]))
    return f"{tried} changes found"
