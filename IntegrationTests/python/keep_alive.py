"""Keep-alive connections with at most one request on each, from one thread: what every load generator here needs and none measures with."""
import selectors
import socket


class Connection:
    """One keep-alive connection with at most one request on it."""
    __slots__ = ("entry", "events", "received", "socket", "unsent")

    def __init__(self, port):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # It goes on by itself; sending says when it cannot be made.
        self.socket.connect_ex(("127.0.0.1", port))
        self.received, self.unsent, self.entry, self.events = b"", b"", None, selectors.EVENT_READ


class Connections:
    """The connections of a load to a server on this machine, up to `limit` of them. Subclasses say what an answer means to them."""

    def __init__(self, port, limit):
        self.port, self.limit = port, limit
        self.selector = selectors.DefaultSelector()
        self.idle, self.busy = [], 0
        self.strays = []

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.data.socket.close()
        self.selector.close()

    # What a load does about it.

    def written(self, entry):
        """All of a request was handed to the system."""

    def answered(self, connection, head, body):
        """A whole answer, its header block in lower case. Says whether the connection is of further use; when not, it was dropped."""
        raise NotImplementedError

    def broken(self, entry, trouble):
        """A connection ended before the answer to `entry` came."""

    # Sending and receiving.

    def has_room(self):
        return self.idle or self.busy < self.limit

    def send(self, request, entry):
        """`request`, bytes, on an idle connection or on a new one."""
        connection = self.idle.pop() if self.idle else self._connect()
        connection.entry, connection.unsent = entry, request
        self.busy += 1
        self._write(connection)

    def ready(self, connection, events):
        """What the selector said."""
        if events & selectors.EVENT_WRITE and connection.unsent:
            self._write(connection)
        if events & selectors.EVENT_READ and connection.socket.fileno() >= 0:
            self._read(connection)

    def freed(self, connection):
        """Its request has been answered."""
        connection.entry = None
        self.busy -= 1

    def drop(self, connection, trouble):
        self.selector.unregister(connection.socket)
        connection.socket.close()
        if connection in self.idle:
            self.idle.remove(connection)
        if connection.received:
            self.strays.append(f"{len(connection.received)} bytes that are no whole answer, {trouble}")
        entry, connection.entry = connection.entry, None
        if entry is not None:
            self.busy -= 1
            self.broken(entry, trouble)

    def _connect(self):
        connection = Connection(self.port)
        self.selector.register(connection.socket, connection.events, connection)
        return connection

    def _write(self, connection):
        try:
            sent = connection.socket.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            return self.drop(connection, f"while sending: {error}")
        connection.unsent = connection.unsent[sent:]
        if not connection.unsent:
            self.written(connection.entry)
        events = selectors.EVENT_READ | selectors.EVENT_WRITE if connection.unsent else selectors.EVENT_READ
        if events != connection.events:
            connection.events = events
            self.selector.modify(connection.socket, events, connection)

    def _read(self, connection):
        try:
            block = connection.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            return self.drop(connection, f"while waiting: {error}")
        if not block:
            return self.drop(connection, "closed by the server")
        connection.received = connection.received + block if connection.received else block
        while connection.received and self._take_answer(connection):
            pass

    def _take_answer(self, connection):
        """Hands on the whole answer at the front of what was received; False when there is none, or none to come."""
        block = connection.received
        end = block.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = block[:end + 2].lower()
        whole = end + 4 + int(field(head, b"content-length") or 0)
        if len(block) < whole:
            return False
        connection.received = block[whole:]
        return self.answered(connection, head, block[end + 4:whole])


def status(head):
    return int(head[9:12])


def field(head, name):
    """The value of a header field in a header block of lower case, or None."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return None
    start += len(name) + 3
    return head[start:head.find(b"\r\n", start)].strip()


def text(head, name):
    """The same as text, or None."""
    value = field(head, name)
    return value and value.decode("latin-1")
