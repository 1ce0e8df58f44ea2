"""The ledger itself, against a server that misbehaves on purpose: what it is trusted to find, it finds."""
import base64
import contextlib
import json
import re
import socket
import threading

import numpy as np
import pytest

import ledger


class Misbehaving:
    """Answers `/v1/embeddings` with vectors of `texts`, but every tenth request as `how` says."""

    def __init__(self, texts, how):
        self.texts, self.how = texts, how
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        # A client that is done closes its connections whatever is still under way on them.
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                head = [line]
                while head[-1] != b"\r\n":
                    head.append(stream.readline())
                text = b"".join(head).decode()
                body = json.loads(stream.read(int(re.search(r"Content-Length: (\d+)", text)[1])))
                self.count += 1
                how = self.how if self.count % 10 == 0 else "right"
                if how == "lost":
                    return
                connection.sendall(self.answer(re.search(r"x-request-id: (\S+)", text)[1], body["input"], how))

    def answer(self, name, inputs, how):
        group = self.texts.groups.index(inputs)
        rows = self.texts.expected(group + 1 if how == "wrong" else group)
        data = [{"index": index, "embedding": base64.b64encode(row.tobytes()).decode()} for index, row in enumerate(rows)]
        body = json.dumps({"data": data[:-1] if how == "short" else data}).encode()
        status = "200 OK"
        if how == "refused":
            status, body = "503 Service Unavailable", b'{"error":{"code":"overloaded"}}'
        if how == "misdirected":
            name = "somebody-else"
        whole = f"HTTP/1.1 {status}\r\nx-request-id: {name}\r\nx-apus-device: cpu:0\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        return whole * 2 if how == "twice" else whole


@pytest.mark.parametrize("how, found", [("right", None), ("lost", "lost"), ("twice", "twice"), ("wrong", "wrong"), ("short", "wrong"),
                                        ("misdirected", "twice"), ("refused", "errors")])
def test_the_ledger_finds_what_is_wrong(monkeypatch, how, found):
    generator = np.random.default_rng(1)
    monkeypatch.setattr(ledger, "in_process", lambda texts, precision: generator.standard_normal((len(texts), 384)).astype(np.float32))
    server = Misbehaving(ledger.Texts(400, 2), how)
    load = ledger.Load(server.port, server.texts, connections=8)
    books = load.open_loop(200, 0.5, settle=2).books()
    load.close()
    server.listener.close()
    assert books["requests"] > 40 and books["answered"] >= books["requests"] / 2
    suspicious = {kind: books[kind] for kind in ("lost", "twice", "wrong", "errors") if books[kind]}
    assert (found in suspicious) if found else not suspicious, suspicious
    assert bool(load.ledger.complaints()) == (how not in ("right", "refused"))
