"""submit: the platform's client. Submits executions, polls until each is done, judges its end.

Prints one JSON line for each execution; exit 1 when any did not end as its kind says.
"""

import argparse
import asyncio
import json
import os
import sys
import time

import httpx

TIMEOUT_S = 60          # for one execution, from its submission
LANGUAGES = {           # kind -> the languages it is written in
    "fast": ("python", "shell"),
    "slow": ("python",),        # the shell would run a child to sleep
    "fail": ("python", "shell"),
    "crash": ("python", "shell"),
    "retry": ("python", "shell"),
}
CODE = {
    ("fast", "python"): "print('hello %(n)d')",
    ("fast", "shell"): "echo hello %(n)d",
    ("slow", "python"): "import time; time.sleep(%(slow)s); print('hello %(n)d')",
    ("fail", "python"): "print('failing %(n)d'); raise SystemExit(3)",
    ("fail", "shell"): "echo failing %(n)d; exit 3",
    ("crash", "python"): "import os; os.kill(os.getpid(), 11)",
    ("crash", "shell"): "kill -SEGV $$",
    ("retry", "python"): "print('hello %(n)d')",
    ("retry", "shell"): "echo hello %(n)d",
}
ENDS = {                # kind -> phase, exit code, signal, output
    "fast": ("Succeeded", 0, 0, "hello %(n)d\n"),
    "slow": ("Succeeded", 0, 0, "hello %(n)d\n"),
    "fail": ("Failed", 3, 0, "failing %(n)d\n"),
    "crash": ("Failed", 139, 11, ""),
    "retry": ("Succeeded", 0, 0, "hello %(n)d\n"),
}
REFUSALS = 2            # what a retried execution's pod gets before it is accepted
USERS = 5


def judge(kind, numbers, result):
    """None, or what is wrong with the result."""
    phase, code, signum, output = ENDS[kind]
    wanted = {"phase": phase, "exit_code": code, "signal": signum, "output": output % numbers}
    for name, value in wanted.items():
        if result.get(name) != value:
            return "%s is %r, not %r" % (name, result.get(name), value)
    return None


async def execute(client, args, n):
    """One execution from submission to its end; returns the line to print."""
    kind = args.kinds[n % len(args.kinds)]
    languages = LANGUAGES[kind]
    language = languages[n // len(args.kinds) % len(languages)]
    numbers = {"n": n, "slow": args.slow}
    body = {"user": "user-%d" % (n % USERS), "language": language,
            "code": CODE[kind, language] % numbers}
    if kind == "retry":
        body["pod"] = {"annotations": {"platform/refuse": str(REFUSALS)}}
    line = {"id": None, "n": n, "kind": kind, "user": body["user"], "language": language,
            "submitted": time.time_ns(), "finished": None, "polls": 0, "result": None, "error": None}
    try:
        answer = await client.post("/execute", json=body)
        answer.raise_for_status()
        line["id"] = answer.json()["id"]
        end = time.monotonic() + TIMEOUT_S
        while not line["result"]:
            if time.monotonic() > end:
                raise TimeoutError("no result in %d s" % TIMEOUT_S)
            await asyncio.sleep(args.poll)
            answer = await client.get("/executions/" + line["id"])
            answer.raise_for_status()
            line["polls"] += 1
            line["result"] = answer.json()["result"]
        line["error"] = judge(kind, numbers, line["result"])
    except (httpx.HTTPError, TimeoutError) as err:
        line["error"] = repr(err)
    line["finished"] = time.time_ns()
    return line


async def run(args):
    slots = asyncio.Semaphore(args.concurrency)
    failed = 0
    limits = httpx.Limits(max_connections=args.concurrency,
                          max_keepalive_connections=args.concurrency)
    async with httpx.AsyncClient(base_url=args.api, timeout=30, limits=limits) as client:
        async def one(n):
            nonlocal failed
            async with slots:
                line = await execute(client, args, n)
            failed += line["error"] is not None
            print(json.dumps(line), flush=True)

        await asyncio.gather(*(one(n) for n in range(args.executions)))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--dir", help="run directory of the platform (up.py --dir)")
    where.add_argument("--api", help="URL of the api")
    parser.add_argument("-n", "--executions", type=int, default=5)
    parser.add_argument("-c", "--concurrency", type=int, default=1, help="executions in flight")
    parser.add_argument("--kinds", default="fast,slow,fail,crash,retry", help="taken in turn")
    parser.add_argument("--slow", type=float, default=3, help="seconds that a slow one sleeps")
    parser.add_argument("--poll", type=float, default=0.15, help="seconds between polls")
    args = parser.parse_args()
    if args.dir:
        with open(os.path.join(args.dir, "platform.json")) as f:
            args.api = "http://" + json.load(f)["api"]["address"]
    args.kinds = args.kinds.split(",")
    unknown = set(args.kinds) - set(LANGUAGES)
    if unknown:
        parser.error("unknown kind %s: there are %s" % (", ".join(sorted(unknown)),
                                                       ", ".join(LANGUAGES)))
    return asyncio.run(run(args))


sys.exit(main())
