"""api: takes executions from users, publishes them, and keeps their results for asking.

POST /execute publishes to the topic `executions` and answers 202 with the execution's id.
GET /executions/{id} answers its state; POST /executions/{id}/result is for result-processor.
"""

import asyncio
import secrets
import uuid
from typing import Any, Dict, Optional

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

import common

EXECUTIONS_MAX = 100000     # kept in memory; the oldest leave first


class Execute(BaseModel):
    user: str
    language: str
    code: str
    pod: Dict[str, Any] = {}    # image, env, limits, deadline_seconds, annotations


class Result(BaseModel):
    phase: str
    pod: str
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    reason: Optional[str] = None
    output: str = ""


def make_header(propagation):
    """The trace context of a new execution, made by the program itself once it has a request."""
    if propagation == "traceparent":
        return "traceparent", "00-%s-%s-01" % (secrets.token_hex(16), secrets.token_hex(8))
    if propagation == "custom":
        return "trace-id", str(uuid.uuid4())
    return None


def make_app(args, log, publisher):
    app = FastAPI(openapi_url=None)
    app.add_middleware(common.RequestLog, log=log)
    executions = {}

    @app.post("/execute", status_code=202)
    async def execute(body: Execute, request: Request):
        execution = str(uuid.uuid4())
        request.state.execution = execution
        header = make_header(args.propagation)
        if header:
            log.write("trace.made", execution=execution, headers=dict([header]))
        while len(executions) >= EXECUTIONS_MAX:
            executions.pop(next(iter(executions)))
        executions[execution] = {"id": execution, "state": "accepted", "result": None}
        publisher.publish("executions", execution, {
            "id": execution, "user": body.user, "language": body.language, "code": body.code,
            "pod": body.pod,
        }, header)
        return {"id": execution}

    @app.get("/executions/{execution}")
    async def get(execution: str):
        if execution not in executions:
            raise HTTPException(404, "no such execution")
        return executions[execution]

    @app.post("/executions/{execution}/result")
    async def result(execution: str, body: Result):
        if execution not in executions:
            raise HTTPException(404, "no such execution")
        executions[execution] = {
            "id": execution, "state": "done",
            "result": {name: getattr(body, name)
                       for name in ("phase", "pod", "exit_code", "signal", "reason", "output")},
        }
        return {"id": execution, "state": "done"}

    return app


def main():
    args = common.options("api", brokers=(None, "Kafka bootstrap address"),
                          port=(0, "port to listen on; 0: any free one"))
    log = common.Log(args.dir, "api")
    publisher = common.Publisher(log, args.brokers)
    asyncio.run(common.serve(make_app(args, log, publisher), log, args.port))
    publisher.close()


main()
