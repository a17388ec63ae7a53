"""Whole-product checks: a real Sealgate binary, real clients, a vendor that looks back. One line per promise.

    product_checks.py [--only WORDS] [--keep FOLDER] [--list]

Each check is named after the line of issue 2's "Must show" that it shows. Exit 0 when all pass.
"""

import argparse
import pathlib
import sys
import tempfile
import time
import traceback

import checks
import checks.errors
import checks.ledger
import checks.readme
import checks.refusals
import checks.traffic
import gateway
import logread


def main():
    """Runs the checks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="run checks whose title or function name holds these words")
    parser.add_argument("--keep", help="work in this folder and leave it there")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="sealgate-checks-") as scratch:
        for title, run in checks.CHECKS:
            if options.only and options.only not in title and options.only not in run.__name__:
                continue
            if options.list:
                print(f"{run.__name__:<24} {title}")
                continue
            begin = time.monotonic()
            try:
                note = run(pathlib.Path(options.keep or scratch) / run.__name__) or ""
                verdict, passed = "PASS", passed + 1
            except (checks.Failed, AssertionError, gateway.Broken, logread.LogFault) as error:
                verdict, note, failed = "FAIL", f"{error}", failed + 1
            except Exception:  # a check that breaks has not shown its promise
                verdict, note, failed = "FAIL", traceback.format_exc(), failed + 1
            print(f"{verdict} {title} ({time.monotonic() - begin:.1f} s) {note}".rstrip(), flush=True)
    if options.list:
        return 0
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
