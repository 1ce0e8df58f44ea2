import ApusErrors
import ApusService
import NIOCore
import NIOHTTP1

/// One HTTP/1.1 connection: gathers each request whole, hands it on, writes the answer, and holds the client to limits and deadlines.
///
/// Requests of one connection are answered one after the other. While one is with the service nothing is read from the socket, so
/// what a client pipelines stays bounded by one read. A client that goes away cancels the task of its request.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = Never
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPServerResponsePart

    /// Whether a request may go on, told by its head alone: from a stranger no body is taken.
    enum Admission {
        case admit(Caller)
        case refuse(HTTPReply)
        /// There is no room now. The connection goes on: who is told to come back is not made to connect again as well.
        case turnAway(HTTPReply)
    }

    /// The most of a body that is read and thrown away for the sake of its connection.
    private static let mostDiscarded = 64 << 10


    typealias Gate = @Sendable (HTTPRequestHead) -> Admission
    typealias Responder = @Sendable (HTTPRequest) async -> HTTPReply?
    /// Told of a request that was refused before the responder saw it; gives the answer.
    typealias Refuser = @Sendable (ApusError) -> HTTPReply

    /// What the decoder gave while an earlier request was being answered.
    private enum Backlog {
        case part(HTTPServerRequestPart)
        case failure(ApusError)
    }

    let timeouts: HTTPConfiguration.Timeouts
    private let slowestReader: Int
    private let threads: ServerThreads
    private let budget: BodyBudget
    private let gate: Gate
    private let responder: Responder
    private let refuser: Refuser
    var intake: RequestIntake
    var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var caller: Caller?
    /// The answer to a request whose body is being thrown away.
    private var turnedAway: HTTPReply?
    private var body = ByteBuffer()
    /// What this connection has taken from the budget, for the body that arrives or is being answered.
    private var heldBytes = 0
    private var answering: Task<Void, Never>?
    private var backlog = CircularBuffer<Backlog>()
    private var readIsPending = false
    private var inputIsClosed = false
    private var isDraining = false
    private var isWriting = false
    private var hasFailed = false
    /// When the present phase ends of itself. The scheduled task may fire earlier, and then looks again.
    var deadline: NIODeadline?
    var timer: (scheduled: Scheduled<Void>, due: NIODeadline)?
    private var date = HTTPDate()

    init(
        configuration: HTTPConfiguration,
        threads: ServerThreads,
        budget: BodyBudget,
        gate: @escaping Gate,
        responder: @escaping Responder,
        refuser: @escaping Refuser
    ) {
        self.threads = threads
        self.budget = budget
        timeouts = configuration.timeouts
        slowestReader = configuration.limits.slowestReader
        intake = RequestIntake(limits: configuration.limits)
        self.gate = gate
        self.responder = responder
        self.refuser = refuser
    }

    // MARK: Arriving

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        setDeadline(timeouts.header)
        armTimer()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        release()
    }

    func channelInactive(context: ChannelHandlerContext) {
        release()
        context.fireChannelInactive()
    }

    private func release() {
        answering?.cancel()
        answering = nil
        timer?.scheduled.cancel()
        timer = nil
        deadline = nil
        backlog.removeAll()
        letGo()
        context = nil
    }

    /// - Returns: whether the bytes are to be decoded.
    func bytesArrived(_ bytes: ByteBuffer) -> Bool {
        let before = intake.phase
        guard before != .refused else { return false }
        let error = intake.bytesArrived(bytes.readableBytes) {
            bytes.readableBytesView.drop { $0 == 0x0D || $0 == 0x0A }.contains(0x0A)
        }
        if let error {
            refuse(error)
            return false
        }
        if case .waiting(let fresh) = before, !fresh { setDeadline(timeouts.header) }
        return true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if answering != nil || isWriting {
            backlog.append(.part(part))
        } else {
            take(part)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        armTimer()
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if answering != nil || isWriting && intake.phase != .refused {
            readIsPending = true
        } else {
            context.read()
        }
    }

    private func take(_ part: HTTPServerRequestPart) {
        guard intake.phase != .refused else { return }
        switch part {
        case .head(let head):
            switch intake.headArrived(head) {
            case .accept(let sayContinue):
                self.head = head
                switch gate(head) {
                case .admit(let caller):
                    self.caller = caller
                    setDeadline(timeouts.body)
                    if sayContinue { writeContinue(version: head.version) }
                case .turnAway(let reply) where !sayContinue:
                    turnedAway = reply
                    setDeadline(timeouts.body)
                case .refuse(let reply), .turnAway(let reply):
                    refuse(reply)
                }
            case .refuse(let error):
                refuse(error)
            }
        case .body(var bytes):
            if let turnedAway {
                if intake.bodyArrived(bytes.readableBytes) != nil || intake.bodyBytes > Self.mostDiscarded { refuse(turnedAway) }
            } else if let error = intake.bodyArrived(bytes.readableBytes) ?? hold(bytes.readableBytes) {
                refuse(error)
            } else if body.readableBytes == 0 {
                body = bytes
            } else {
                body.writeBuffer(&bytes)
            }
        case .end:
            if let head, let reply = turnedAway {
                turnedAway = nil
                self.head = nil
                intake.requestCompleted()
                answer(reply, to: head)
                return
            }
            guard let head, let caller else { return }
            self.caller = nil
            let request = HTTPRequest(head: head, caller: caller, body: body)
            body = ByteBuffer()
            intake.requestCompleted()
            deadline = nil
            dispatch(request)
        }
    }

    private func hold(_ count: Int) -> ApusError? {
        guard budget.take(count) else {
            return ApusError(.overloaded, "too many large requests are being handled", advice: "Try again later")
        }
        heldBytes += count
        return nil
    }

    private func letGo() {
        budget.giveBack(heldBytes)
        heldBytes = 0
    }

    private func dispatch(_ request: HTTPRequest) {
        guard let context else { return }
        let eventLoop = context.eventLoop
        let connection = NIOLoopBound(self, eventLoop: eventLoop)
        answering = Task { [responder, threads] in
            let reply = await responder(request)
            threads.run(on: eventLoop) { connection.value.finish(reply) }
        }
        if inputIsClosed { answering?.cancel() }
    }

    // MARK: Answering

    /// - Parameter reply: nil when the client is gone and there is nobody to answer.
    private func finish(_ reply: HTTPReply?) {
        guard answering != nil, let head else { return }
        answering = nil
        self.head = nil
        letGo()
        guard let reply else {
            context?.close(promise: nil)
            return
        }
        answer(reply, to: head)
    }

    private func answer(_ reply: HTTPReply, to head: HTTPRequestHead) {
        let closes = !head.isKeepAlive || isDraining || inputIsClosed && backlog.isEmpty || Self.leavesHTTP(head)
        write(reply, to: head, closes: closes) { connection in
            if closes || connection.isDraining {
                connection.context?.close(promise: nil)
            } else {
                connection.next()
            }
        }
    }

    /// After an `Upgrade` or `CONNECT`, which are not taken up, the decoder reads no further request.
    private static func leavesHTTP(_ head: HTTPRequestHead) -> Bool {
        head.method == .CONNECT || head.headers.contains(name: "upgrade")
    }

    /// Goes on with what has arrived in the meantime.
    private func next() {
        intake.answered()
        setDeadline(timeouts.idle)
        while answering == nil, !isWriting, let item = backlog.popFirst() {
            switch item {
            case .part(let part): take(part)
            case .failure(let error): refuse(error)
            }
        }
        armTimer()
        guard answering == nil, !isWriting else { return }
        if inputIsClosed || isDraining && head == nil {
            context?.close(promise: nil)
        } else if readIsPending {
            readIsPending = false
            context?.read()
        }
    }

    /// Answers with an error that ends the connection. The rest of what the client sends is read and thrown away for a while, because
    /// closing a socket over unread bytes makes the system discard the answer as well.
    func refuse(_ error: ApusError) {
        guard intake.phase != .refused else { return }
        refuse(refuser(error))
    }

    private func refuse(_ reply: HTTPReply) {
        intake.refused()
        turnedAway = nil
        backlog.removeAll()
        body = ByteBuffer()
        letGo()
        write(reply, to: head, closes: true) { connection in
            guard let context = connection.context else { return }
            guard !connection.inputIsClosed else {
                context.close(promise: nil)
                return
            }
            context.close(mode: .output, promise: nil)
            connection.setDeadline(connection.timeouts.linger)
            connection.armTimer()
        }
        if readIsPending {
            readIsPending = false
            context?.read()
        }
    }

    private func writeContinue(version: HTTPVersion) {
        guard let context else { return }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: version, status: .continue))), promise: nil)
        context.flush()
    }

    private func write(
        _ reply: HTTPReply,
        to request: HTTPRequestHead?,
        closes: Bool,
        then proceed: @escaping (ConnectionHandler) -> Void
    ) {
        guard let context else { return }
        isWriting = true
        let version = request?.version ?? .http1_1
        var headers = HTTPHeaders(reply.headers)
        headers.add(name: "content-length", value: String(reply.body.count))
        headers.add(name: "date", value: date.now)
        if closes {
            headers.add(name: "connection", value: "close")
        } else if version == .http1_0 {
            headers.add(name: "connection", value: "keep-alive")
        }
        let head = HTTPResponseHead(version: version, status: .init(statusCode: reply.status), headers: headers)
        let bytes = request?.method == .HEAD ? 0 : reply.body.count
        setDeadline(timeouts.write + .seconds(bytes / slowestReader))
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if bytes > 0 {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: reply.body)))), promise: nil)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { result in
            self.isWriting = false
            switch result {
            case .success: proceed(self)
            case .failure: self.context?.close(promise: nil)
            }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        armTimer()
    }

    // MARK: Ending

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else {
            context.close(promise: nil)
            return
        }
        // The decoder tells a wrong version twice.
        guard !hasFailed else { return }
        hasFailed = true
        let refusal = intake.refusal(of: error)
        if answering != nil || isWriting {
            backlog.append(.failure(refusal))
        } else {
            refuse(refusal)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            inputIsClosed = true
            if let answering {
                answering.cancel()
            } else if !isWriting {
                context.close(promise: nil)
            }
        case is ChannelShouldQuiesceEvent:
            isDraining = true
            if case .waiting = intake.phase, !isWriting { context.close(promise: nil) }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }
}

@available(*, unavailable)
extension ConnectionHandler: Sendable {}
