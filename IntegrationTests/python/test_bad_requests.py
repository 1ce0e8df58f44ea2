"""Bad input: each kind gets the answer of the error table, and the next good request is served.

The numbers are rows of the hostile input catalogue.
"""
import json
import socket
import struct
import threading
import time

import pytest

import apus

MODEL = apus.DEFAULT_MODEL
MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def still_serves(server):
    yield
    assert server.process.poll() is None, server.output()
    assert server.embed("still here").status == 200


def body(**fields):
    return {"model": MODEL, "input": "text", **fields}


def text_body(input_json, more=""):
    return f'{{"model":"{MODEL}","input":{input_json}{more}}}'.encode()


def deep(levels):
    return text_body('"text"', ',"x":' + "[" * levels + "]" * levels)


INVALID_JSON = {
    "01 malformed": b'{"model" "x"}',
    "01 truncated": text_body('"text"')[:-1],
    "02 empty": b"",
    "03 trailing bytes": text_body('"text"') + b" x",
    "04 trailing comma": text_body('["a",]'),
    "05 duplicate key": text_body('"a"', ',"input":"b"'),
    "05 duplicate key, escaped": text_body('"a"', ',"\\u0069nput":"b"'),
    "06 byte order mark": b"\xef\xbb\xbf" + text_body('"text"'),
    "06 UTF-16": text_body('"text"').decode().encode("utf-16"),
    "07 NaN": text_body('"text"', ',"dimensions":NaN'),
    "07 Infinity": text_body('"text"', ',"dimensions":-Infinity'),
    "07 1e999": text_body('"text"', ',"dimensions":1e999'),
    "11 nesting of 129": deep(129),
    "11 nesting of 100,000": deep(100_000),
    "12 invalid UTF-8": text_body('"\xff"').replace(b"\xc3\xbf", b"\xff"),
    "12 overlong UTF-8": text_body('"@"').replace(b"@", b"\xc0\x80"),
    "12 surrogate in UTF-8": text_body('"@"').replace(b"@", b"\xed\xa0\x80"),
    "13 lone surrogate": text_body('"\\ud800"'),
    "single quotes": b"{'model':'x'}",
    "comment": text_body('"text"') + b"// done",
    "control character": text_body('"a\x01b"'),
    "leading zero": text_body('"text"', ',"dimensions":012'),
}


@pytest.mark.parametrize("data", INVALID_JSON.values(), ids=INVALID_JSON.keys())
def test_invalid_json(server, data):
    reply = server.post("/v1/embeddings", data)
    assert reply.status == 400, reply
    assert reply.error["code"] == "invalid_json"
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["message"]
    assert set(reply.error) == {"message", "type", "param", "code"}


INVALID_VALUES = {
    "08 dimensions 1.5": (body(dimensions=1.5), "invalid_value", "dimensions"),
    "08 dimensions 2^63": (body(dimensions=1 << 63), "invalid_value", "dimensions"),
    "09 input number": (body(input=5), "invalid_value", "input"),
    "09 input null": (body(input=None), "invalid_value", "input"),
    "09 input object": (body(input={"a": 1}), "invalid_value", "input"),
    "09 input true": (body(input=True), "invalid_value", "input"),
    "09 input mixed": (body(input=["a", 1]), "invalid_value", "input"),
    "09 input mixed lists": (body(input=[[101], "a"]), "invalid_value", "input"),
    "09 input null inside": (body(input=["a", None]), "invalid_value", "input"),
    "09 input too deep": (body(input=[[["a"]]]), "invalid_value", "input"),
    "09 model number": (body(model=5), "invalid_value", "model"),
    "09 model missing": ({"input": "a"}, "invalid_value", "model"),
    "09 input missing": ({"model": MODEL}, "invalid_value", "input"),
    "09 truncate string": (body(truncate="yes"), "invalid_value", "truncate"),
    "09 provenance number": (body(provenance=1), "invalid_value", "provenance"),
    "09 dimensions string": (body(dimensions="3"), "invalid_value", "dimensions"),
    "19 empty string": (body(input=""), "empty_input", "input"),
    "19 empty list": (body(input=[]), "empty_input", "input"),
    "19 empty string in a list": (body(input=["a", ""]), "empty_input", "input"),
    "19 empty list in a list": (body(input=[[101, 102], []]), "empty_input", "input"),
    "16 string over 1 MiB": (body(input="a" * (MEBIBYTE + 1)), "string_above_max_length", "input"),
    "16 string of 10 MB": (body(input=["ok", "a" * 10_000_000]), "string_above_max_length", "input"),
    "17 2,049 inputs": (body(input=["a"] * 2049), "array_above_max_length", "input"),
    "17 100,000 inputs": (body(input=["a"] * 100_000), "array_above_max_length", "input"),
    "17 2,049 token lists": (body(input=[[101]] * 2049), "array_above_max_length", "input"),
    "20 negative token": (body(input=[101, -1, 102]), "invalid_token", "input"),
    "20 token beyond the vocabulary": (body(input=[101, 30522, 102]), "invalid_token", "input"),
    "20 token of 2^31": (body(input=[[101, 1 << 31]]), "invalid_token", "input"),
    "20 token of 2^62": (body(input=[[1 << 62]]), "invalid_token", "input"),
    "20 fraction of a token": (body(input=[101, 7.5]), "invalid_value", "input"),
    "28 dimensions 0": (body(dimensions=0), "invalid_value", "dimensions"),
    "28 dimensions -1": (body(dimensions=-1), "invalid_value", "dimensions"),
    "28 dimensions 385": (body(dimensions=385), "invalid_value", "dimensions"),
    "29 encoding_format": (body(encoding_format="hex"), "invalid_value", "encoding_format"),
    "29 encoding_format number": (body(encoding_format=1), "invalid_value", "encoding_format"),
    "15 array": ([body()], "invalid_value", None),
    "15 null": (None, "invalid_value", None),
    "15 string": ("text", "invalid_value", None),
}


@pytest.mark.parametrize("document,code,param", INVALID_VALUES.values(), ids=INVALID_VALUES.keys())
def test_invalid_values(server, document, code, param):
    reply = server.post("/v1/embeddings", document)
    assert reply.status == 400, reply
    assert (reply.error["code"], reply.error["param"]) == (code, param)
    assert len(reply.body) < 4096


@pytest.mark.parametrize("name", ["nothing", "", "../../etc/passwd", "a\0b", "a\nb", "/", "x" * 65536, f"{MODEL}\0", MODEL.upper(), "é"],
                         ids=["unknown", "empty", "path", "NUL", "line feed", "slash", "64 KiB", "name and NUL", "case", "accent"])
def test_unknown_models(server, name):
    reply = server.embed("text", model=name)
    assert reply.status == 404, reply
    assert reply.error["code"] == "model_not_found" and reply.error["param"] == "model"
    assert len(reply.body) < 4096


def test_names_are_escaped_in_the_log(server):
    server.embed("text", model="forged\nERROR everything is lost\x1b[31m")
    assert "\nERROR everything is lost" not in server.output()
    assert "\x1b[31m" not in server.output()


ACCEPTED = {
    "10 unknown field": text_body('"text"', ',"unknown":{"a":[1,2,{"b":null}]}'),
    "11 nesting of 100": deep(100),
    "14 NUL is text": text_body('"a\\u0000b"'),
    "14 escaped pair": text_body('"\\ud83d\\ude80"'),
    "19 a blank": text_body('" "'),
    "19 only controls": text_body('"\\u0001\\u0002"'),
    "22 a word of 1 MiB": text_body(json.dumps("a" * MEBIBYTE)),
    "22 combining marks": text_body(json.dumps("e" + "\u0301" * 500_000, ensure_ascii=False)),
    "22 CJK": text_body(json.dumps("\u6f22" * 300_000, ensure_ascii=False)),
    "22 punctuation": text_body(json.dumps("!" * 1_000_000)),
    "22 spaces": text_body(json.dumps(" " * 1_000_000 + "a")),
    "white space around": b" \r\n\t" + text_body('"text"') + b"\n\n",
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_odd_but_valid(server, data):
    reply = server.post("/v1/embeddings", data, timeout=30)
    assert reply.status == 200, reply
    assert len(reply.json["data"][0]["embedding"]) == 384


def head(*lines, start="POST /v1/embeddings HTTP/1.1"):
    return "\r\n".join([start, "Host: localhost", *lines, "", ""]).encode()


def parse(answer):
    """(status, headers, body) of the first answer in raw bytes."""
    top, _, rest = answer.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    assert lines[0].startswith("HTTP/1.1 "), answer[:200]
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, rest


GOOD = text_body('"text"')
RAW = {
    "52 negative length": (head("Content-Type: application/json", "Content-Length: -1") + GOOD, 400, None),
    "52 length is no number": (head("Content-Type: application/json", "Content-Length: ten") + GOOD, 400, None),
    "52 length overflows": (head("Content-Type: application/json", "Content-Length: 99999999999999999999999") + GOOD, 400, None),
    "52 two lengths": (head("Content-Type: application/json", f"Content-Length: {len(GOOD)}", "Content-Length: 3") + GOOD, 400, None),
    "53 length and chunked": (head("Content-Type: application/json", "Content-Length: 5", "Transfer-Encoding: chunked")
                              + b"0\r\n\r\n", 400, None),
    "54 chunk size overflows": (head("Content-Type: application/json", "Transfer-Encoding: chunked")
                                + b"fffffffffffffffff\r\nabc", 400, None),
    "54 chunk size is no number": (head("Content-Type: application/json", "Transfer-Encoding: chunked")
                                   + b"xyz\r\nabc\r\n0\r\n\r\n", 400, None),
    "413 by length": (head("Content-Type: application/json", f"Content-Length: {(32 << 20) + 1}") + GOOD, 413, "body_too_large"),
    "413 by chunks": (head("Content-Type: application/json", "Transfer-Encoding: chunked")
                      + (b"100000\r\n" + b"a" * MEBIBYTE + b"\r\n") * 33 + b"0\r\n\r\n", 413, "body_too_large"),
    "56 header of 100 KiB": (head(f"X-Long: {'a' * (100 << 10)}", start="GET /health/live HTTP/1.1"), 431, None),
    "56 300 fields": (head(*(f"X-{i}: a" for i in range(300)), start="GET /health/live HTTP/1.1"), 431, None),
    "57 target of 17 KiB": (head(start=f"GET /{'a' * (17 << 10)} HTTP/1.1"), 414, None),
    "57 bad percent": (head("Connection: close", start="GET /v1/models/%zz HTTP/1.1"), 400, None),
    "57 encoded NUL": (head("Connection: close", start="GET /v1/models/a%00b HTTP/1.1"), (400, 404), None),
    "58 unknown path": (head("Connection: close", start="GET /v2/nothing HTTP/1.1"), 404, "not_found"),
    "58 path above": (head("Connection: close", start="GET /../../etc/passwd HTTP/1.1"), (400, 404), None),
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400, None),
}


@pytest.mark.parametrize("data,status,code", RAW.values(), ids=RAW.keys())
def test_raw_requests(server, data, status, code):
    seen, headers, rest = parse(server.raw(data))
    assert seen in (status if isinstance(status, tuple) else (status,)), rest[:300]
    if code:
        assert json.loads(rest)["error"]["code"] == code


@pytest.mark.parametrize("name", [name for name in RAW if name.startswith(("52", "53", "413"))])
def test_ambiguous_framing_closes_the_connection(server, name):
    follow_up = head(start="GET /health/live HTTP/1.1")
    answer = server.raw(RAW[name][0] + follow_up)
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows a request of doubtful length must not be read as another one"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_told_what_is_allowed(server, method):
    reply = server.request(method, "/v1/embeddings")
    assert reply.status == 405
    assert reply.error["code"] == "method_not_allowed"
    assert "POST" in reply.headers["allow"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"])
def test_other_content_types_are_refused(server, content_type):
    reply = server.post("/v1/embeddings", GOOD, {"Content-Type": content_type})
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")


def test_charset_parameter_is_fine(server):
    assert server.post("/v1/embeddings", GOOD, {"Content-Type": "Application/JSON; charset=utf-8"}).status == 200


def test_compressed_bodies_are_refused(server):
    import gzip
    reply = server.post("/v1/embeddings", gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"})
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")


def test_many_tiny_chunks_are_one_body(server):
    data = text_body(json.dumps("word " * 2000))
    chunks = b"".join(b"1\r\n" + data[i:i + 1] + b"\r\n" for i in range(len(data))) + b"0\r\n\r\n"
    request = head("Content-Type: application/json", "Transfer-Encoding: chunked", "Connection: close") + chunks
    assert parse(server.raw(request))[0] == 200


@pytest.mark.parametrize("value", ["junk", "-1", "1.5", str(1 << 63), str((1 << 31) + 1), "", "1e3"])
def test_bad_deadlines(server, value):
    reply = server.embed("text", headers={"x-apus-timeout-ms": value})
    assert (reply.status, reply.error["code"]) == (400, "invalid_value")


def test_an_expired_deadline_is_504(server):
    reply = server.embed("text", headers={"x-apus-timeout-ms": "0"})
    assert (reply.status, reply.error["code"], reply.error["type"]) == (504, "deadline_exceeded", "server_error")


def test_a_generous_deadline_changes_nothing(server):
    assert server.embed("text", headers={"x-apus-timeout-ms": "60000", "x-apus-priority": "low"}).status == 200


def test_bad_priority(server):
    assert server.embed("text", headers={"x-apus-priority": "urgent"}).status == 400


def test_slow_headers_and_slow_bodies_are_cut(server):
    """60, 61: a byte a second keeps no connection alive past the limits of 10 s and 30 s, here with time for a busy machine."""
    ended = {}

    def drip(name, start):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
            received, alive = b"", True
            connection.sendall(start)
            while alive and time.monotonic() - began < 60:
                try:
                    block = connection.recv(4096)
                    received, alive = received + block, bool(block)
                except TimeoutError:
                    try:
                        connection.sendall(b"a")
                    except OSError:
                        alive = False
                except OSError:
                    alive = False
        ended[name] = (time.monotonic() - began, received)

    starts = {"header": b"GET /health/live HTTP/1.1\r\nX-Slow: ",
              "body": head("Content-Type: application/json", "Content-Length: 1000") + b'{"input":"'}
    threads = [threading.Thread(target=drip, args=item) for item in starts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, latest in (("header", 29), ("body", 59)):
        seconds, received = ended[name]
        assert seconds < latest, name
        assert received == b"" or parse(received)[0] == 408, name


def test_half_close_gets_its_answer(server):
    request = head("Content-Type: application/json", f"Content-Length: {len(GOOD)}") + GOOD
    answer = server.raw(request, half_close=True)
    assert answer == b"" or parse(answer)[0] == 200


def test_pipelined_requests_are_answered_in_order(server):
    requests = b"".join(
        (head("Content-Type: application/json", f"Content-Length: {len(GOOD)}", f"x-request-id: n{i}") + GOOD) if i % 10 == 0
        else head(f"x-request-id: n{i}", start="GET /health/live HTTP/1.1") for i in range(200))
    last = head("Connection: close", "x-request-id: last", start="GET /health/live HTTP/1.1")
    answer = server.raw(requests + last)
    ids = [line.split(b": ")[1].decode() for line in answer.lower().split(b"\r\n") if line.startswith(b"x-request-id: ")]
    assert ids == [f"n{i}" for i in range(200)] + ["last"]


def test_clients_that_go_away_do_no_harm(server):
    """63: requests whose client resets the connection before the answer."""
    data = json.dumps(body(input=["word " * 200] * 32)).encode()
    for _ in range(10):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(head("Content-Type: application/json", f"Content-Length: {len(data)}") + data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
