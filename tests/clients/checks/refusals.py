"""A refusal is the SDK's own typed error, names reason and request id, and is not tried again."""

import gateway
import harness
import logread
import openai
from mock_vendor import MockVendor
from python import suite

from . import AWS_KEY, KEYS, check, equal, expect

STRANGER = "sg_" + "A" * 43


def refusals(kind, base_url, token, retries=2):
    """The same questions as `refusals` in node/suite.mjs, with the SDK's retries on."""
    client = kind(base_url, token)
    library = type(client.sdk)
    patient = library(max_retries=retries, **client.options)
    stranger = library(max_retries=retries, **{**client.options, "api_key": STRANGER})

    def raised(run):
        try:
            run()
        except client.errors as error:
            return suite.failure(error)
        return {"class": "none raised"}

    return {"secret": raised(lambda: client.ask(f"My key is {AWS_KEY}.", sdk=patient)),
            "secret_streamed": raised(lambda: client.ask(f"My key is {AWS_KEY}.", sdk=patient, stream=True)),
            "stranger": raised(lambda: client.ask("Hello.", sdk=stranger))}


@check("a refusal is the SDK's own typed error with reason and request id, and is not tried again")
def typed_refusals(folder):
    vendor, asked = MockVendor(KEYS).start(), 0
    wanted = {"secret": ("PermissionDeniedError", "dlp.secret"), "secret_streamed": ("PermissionDeniedError", "dlp.secret"),
              "stranger": ("AuthenticationError", "identity.invalid")}
    with gateway.Gateway(folder, vendor.url, KEYS) as sealgate:
        for name, kind in (("openai", suite.OpenAi), ("anthropic", suite.Anthropic)):
            base = f"{sealgate.url}/{name}"
            node = harness.run_suite(name, "node", base, sealgate.token, "through", folder, "refusals")["refusals"]
            for language, found in (("python", refusals(kind, base, sealgate.token)), ("node", node)):
                for case, (error, reason) in wanted.items():
                    where, one = f"{name}-{language} {case}", found.get(case, found)
                    equal(one.get("class"), error, where)
                    expect(reason in str(one["body"]) and "request " in str(one["body"]), f"{where}: {one}")
                    asked += 1
        unknown = suite.OpenAi(f"{sealgate.url}/openai", sealgate.token).sdk
        try:
            unknown.embeddings.create(model="text-embedding-3-small", input="Hello.")
            expect(False, "an unknown operation went through")
        except openai.PermissionDeniedError as error:
            equal(error.code, "operation.unknown", "the code of an unknown operation")
        try:
            openai.OpenAI(base_url=f"{sealgate.url}/nowhere/v1", api_key=sealgate.token).models.list()
            expect(False, "an unknown route answered")
        except openai.NotFoundError as error:
            equal(error.code, "route.unknown", "the code of an unknown route")
    log = logread.Log(sealgate.data, allow_tail=False)
    equal(len(log.decisions), asked + 2, "decisions: a retried refusal would leave more")
    equal(len(vendor.requests), 0, "refused requests at the vendor")
    return f"{asked + 2} refusals"
