"""The API's document against the running hub: every operation is there, every answer is one that the document knows, and looks as
it says; whatever is asked, no answer is the hub's own fault."""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request
from typing import Any

from conftest import Hubs
from harness.api import basic, send
from harness.hub import Hub

Schema = dict[str, Any]
METHODS = ("get", "put", "post", "delete")
# Of each operation, with parameters and bodies that make sense more or less.
TRIES = 40
SEED = 20_261_123


def _document(hub: Hub) -> dict[str, Any]:
    with urllib.request.urlopen(hub.listening().http + "/api/openapi.json", timeout=20) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def _faults(document: dict[str, Any], schema: Schema, value: Any, where: str) -> list[str]:
    """What of a value is not as its schema says."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return _faults(document, document["components"]["schemas"][name], value, where)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            tried = [_faults(document, one, value, where) for one in schema[key]]
            return [] if any(not faults for faults in tried) else tried[-1]
    kinds = {
        "object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int,
        "null": type(None),
    }
    wanted = schema.get("type", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    fits = [kind for kind in wanted if isinstance(value, kinds[kind]) and not (kind in ("integer", "number") and value is True)]
    if wanted and not fits:
        return [f"{where}: {type(value).__name__} is none of {wanted}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    if isinstance(value, list):
        return [f for n, one in enumerate(value) for f in _faults(document, schema.get("items", {}), one, f"{where}[{n}]")]
    if not isinstance(value, dict):
        return []
    known = schema.get("properties", {})
    faults = [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
    others = schema.get("additionalProperties", {} if not known else None)
    for name, one in value.items():
        if name in known:
            faults += _faults(document, known[name], one, f"{where}.{name}")
        elif isinstance(others, dict):
            faults += _faults(document, others, one, f"{where}.{name}")
        elif "ProblemDetails" not in where:
            faults.append(f"{where}: {name} is not in the document")
    return faults


def _answers(operation: dict[str, Any], status: int) -> dict[str, Any] | None:
    return operation["responses"].get(str(status))


def _check(document: dict[str, Any], operation: dict[str, Any], said: tuple[int, Any, dict[str, str]], what: str) -> None:
    status, body, head = said
    answer = _answers(operation, status)
    assert status < 500 or status == 503, f"{what}: {status} {body}"
    assert answer is not None, f"{what}: {status} is not in the document: {body}"
    content = answer.get("content", {})
    if not content:
        assert body is None, f"{what}: {body}"
        return
    ((kind, of),) = content.items()
    assert head["content-type"].split(";")[0] == kind, f"{what}: {head['content-type']}"
    where = "ProblemDetails" if kind.startswith("application/problem") else what
    documents = body if kind == "application/x-ndjson" else [body]
    faults = [fault for one in documents for fault in _faults(document, of.get("schema", {}), one, where)]
    assert not faults, f"{what}: {status}: {faults[:3]}"


def test_what_is_read_looks_as_the_document_says_and_nothing_is_read_by_strangers(hubs: Hubs) -> None:
    hub = hubs.live()
    document = _document(hub)
    named = {"{id}": "ctp-main", "{vt_symbol}": "rb2701.SHFE"}
    reads = 0
    for path, operations in document["paths"].items():
        url = path
        for name, value in named.items():
            url = url.replace(name, value)
        for method in METHODS:
            if method not in operations:
                continue
            operation = operations[method]
            if operation.get("security") != [{}]:
                stranger = send(hub, method.upper(), url, headers={"Authorization": ""})
                assert stranger[0] == 401, f"{method} {path}: {stranger}"
            if method == "get":
                said = send(hub, "GET", url)
                assert said[0] == 200, f"{path}: {said}"
                _check(document, operation, said, f"get {path}")
                reads += 1
    assert reads == 15


def _junk(chance: random.Random) -> Any:
    texts = ["", "x", "ctp-main", "nobody", "\u4e2d\u6587", "a" * 300, "tcp://127.0.0.1:1", "..", "%2e%2e", "\u0000", "sim", "ctp"]
    leaves: list[Any] = [None, True, False, 0, 1, -1, 2**40, 2**64, 1.5, 1e308, *texts]
    draw = chance.random()
    if draw < 0.1:
        return [_junk(chance) for _ in range(chance.randrange(3))]
    if draw < 0.2:
        return {chance.choice(texts): _junk(chance) for _ in range(chance.randrange(3))}
    return chance.choice(leaves)


def _body(document: dict[str, Any], schema: Schema, chance: random.Random) -> Any:
    """Something that looks like it, and sometimes is not."""
    if chance.random() < 0.15:
        return _junk(chance)
    if "$ref" in schema:
        return _body(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], chance)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return _body(document, chance.choice(schema[key]), chance)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kind = schema.get("type", "string")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    if kind == "object":
        of = schema.get("properties", {})
        keys = [key for key in of if key in schema.get("required", []) or chance.random() < 0.4]
        return {key: _body(document, of[key], chance) for key in keys}
    if kind == "array":
        return [_body(document, schema.get("items", {}), chance) for _ in range(chance.randrange(3))]
    small = {"boolean": chance.random() < 0.5, "integer": chance.randrange(4), "number": chance.random(), "null": None}
    if kind in small:
        return small[kind]
    return chance.choice(["made-up", "tcp://127.0.0.1:1", "sim", "ctp", "a"])


def test_whatever_is_asked_every_answer_is_documented_and_none_is_the_hubs_own_fault(hubs: Hubs) -> None:
    hub = hubs.live()
    document, chance = _document(hub), random.Random(SEED)
    statuses: dict[int, int] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method not in operations or path == "/api/session":
                continue
            operation = operations[method]
            for _ in range(TRIES):
                url = path
                for name, good in (("{id}", "made-up"), ("{vt_symbol}", "rb2701.SHFE")):
                    given = good if chance.random() < 0.7 else str(_junk(chance))[:60]
                    url = url.replace(name, urllib.request.quote(given, safe=""))
                query = [p for p in operation.get("parameters", []) if p["in"] == "query" and chance.random() < 0.5]
                words = [f"{p['name']}={urllib.request.quote(str(_body(document, p['schema'], chance)), safe='')}" for p in query]
                body = operation.get("requestBody")
                schema = next(iter(body["content"].values()))["schema"] if body else None
                given_body = _body(document, schema, chance) if schema is not None else None
                said = send(hub, method.upper(), url + ("?" + "&".join(words) if words else ""), given_body)
                if "//" in url or url.endswith(("/", "/..", "%2e%2e")) or "%00" in url or "/.." in url or "%2F" in url:
                    # What tries to be another path is none of this operation's.
                    assert said[0] in (400, 404, 405) or _answers(operation, said[0]), said
                    continue
                _check(document, operation, said, f"{method} {url} {words} {json.dumps(given_body)[:200]}")
                statuses[said[0]] = statuses.get(said[0], 0) + 1
    print(f"{sum(statuses.values())} answers: {dict(sorted(statuses.items()))}")
    assert {200, 404, 422} <= set(statuses)
    assert send(hub, "GET", "/health")[0] == 200


def test_swagger_ui_reads_the_document_without_anything_from_elsewhere(hubs: Hubs) -> None:
    hub = hubs.empty()
    for file, part in [("", "swagger-ui"), ("swagger-initializer.js", "/api/openapi.json"), ("swagger-ui.css", "swagger")]:
        with urllib.request.urlopen(f"{hub.listening().http}/docs/{file}", timeout=20) as answer:
            text = answer.read().decode()
            policy = answer.headers["content-security-policy"]
        assert part in text, file
        assert "default-src 'self'" in policy and "script-src" not in policy
    with urllib.request.urlopen(f"{hub.listening().http}/docs/", timeout=20) as answer:
        page = answer.read().decode()
    assert "<script>" not in page and "http://" not in page and "https://" not in page
    try:
        urllib.request.urlopen(f"{hub.listening().http}/docs/nothing.js", timeout=20)
        raise AssertionError("there is nothing there")
    except urllib.error.HTTPError as problem:
        assert problem.code == 404
    assert basic(hub)
