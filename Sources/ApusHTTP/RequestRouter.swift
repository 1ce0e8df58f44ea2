import ApusErrors
import ApusService
import Logging
import NIOCore
import NIOHTTP1

/// Finds the route of a request and turns its outcome into an answer.
///
/// Own rather than Hummingbird's router: that answers a wrong method with 404 and no `Allow`, and splits a path before decoding what a
/// model name may hold.
struct RequestRouter: Sendable {
    typealias Route = ServiceMetrics.Route

    /// What `/metrics` answers: the text and its media type.
    typealias MetricsSource = @Sendable () -> (text: [UInt8], contentType: String)

    let service: InferenceService
    let maxInputs: Int
    let metricsSource: MetricsSource
    let logger: Logger
    /// The answer of `/openapi.json`.
    private let openAPI: [UInt8]

    init(service: InferenceService, maxInputs: Int, metricsSource: @escaping MetricsSource, logger: Logger) {
        self.service = service
        self.maxInputs = maxInputs
        self.metricsSource = metricsSource
        self.logger = logger
        openAPI = OpenAPI.Document(maxInputs: maxInputs, collections: service.collectionLimits, wantsKey: !service.access.isOpen).bytes
    }

    /// Lets nobody on without a key, whether or not there is anything where they ask, and nobody where their key does not reach. Turns away
    /// who would only be told to come back later.
    func admit(_ head: HTTPRequestHead) -> ConnectionHandler.Admission {
        let route = (try? find(RequestTarget(head.uri)))?.route ?? .unknown
        do throws(ApusError) {
            let caller = try caller(of: head, on: route)
            guard let task = route.task, head.method == .POST, let reply = refusal(of: head, caller, route, task) else { return .admit(caller) }
            return .turnAway(reply)
        } catch {
            return .refuse(refuse(error, headers: head.headers))
        }
    }

    /// Nil unless the queue has no room for whatever the body may say. A request with wrong headers goes on, and is told so.
    private func refusal(
        of head: HTTPRequestHead, _ caller: Caller, _ route: Route, _ task: ModelDescription.Task
    ) -> HTTPReply? {
        let arrival = ContinuousClock.now
        guard let asked = try? RequestHeaders(head.headers, arrival: arrival) else { return nil }
        do throws(ApusError) {
            try service.requireRoom(EmbeddingOptions(deadline: asked.deadline, priority: asked.priority), for: caller, task: task)
            return nil
        } catch {
            service.metrics.began()
            return ended(HTTPReply(error), error, on: route, RequestHeaders.requestID(head.headers), since: arrival)
        }
    }

    private func caller(of head: HTTPRequestHead, on route: Route) throws(ApusError) -> Caller {
        guard let scopes = route.scopes(head.method) else { return .anyone }
        let caller = try service.access.caller(presenting: head.headers.bearerKey)
        try caller.require(anyOf: scopes)
        return caller
    }

    /// - Returns: nil when the client went away and its task was cancelled.
    func answer(_ request: HTTPRequest) async -> HTTPReply? {
        let arrival = ContinuousClock.now
        let requestID = RequestHeaders.requestID(request.head.headers)
        service.metrics.began()
        var route = Route.unknown
        var reply: HTTPReply
        var failure: ApusError?
        do throws(ApusError) {
            let target = try RequestTarget(request.head.uri)
            let found = try find(target)
            route = found.route
            reply = try await answer(request, on: found, at: target, arrival: arrival)
        } catch {
            failure = error
            reply = HTTPReply(error, headers: allow(route, error))
        }
        reply = ended(reply, failure, on: route, requestID, since: arrival)
        if failure?.code == .cancelled && Task.isCancelled { return nil }
        return reply
    }

    /// Counts and notes a request that was answered.
    private func ended(
        _ reply: HTTPReply, _ failure: ApusError?, on route: Route, _ requestID: String, since arrival: ContinuousClock.Instant
    ) -> HTTPReply {
        var reply = reply
        reply.headers.append(("x-request-id", requestID))
        let duration = ContinuousClock.now - arrival
        service.metrics.ended(route, code: failure?.code, duration: duration)
        note(failure, route: route, status: reply.status, requestID: requestID, duration: duration)
        return reply
    }

    /// The answer to a request that never became whole.
    /// - Parameter headers: those of the request, as far as they are known.
    func refuse(_ error: ApusError, headers: HTTPHeaders = HTTPHeaders()) -> HTTPReply {
        service.metrics.refused(code: error.code)
        logger.debug("request refused", error: error, metadata: ["code": "\(error.code.rawValue)"])
        var reply = HTTPReply(error)
        reply.headers.append(("x-request-id", RequestHeaders.requestID(headers)))
        return reply
    }

    private enum Found {
        case embeddings, rerank, classify, similarity, models, model(String), loadModel(String), unloadModel(String)
        case devices(DevicesRoute.Target), collections(CollectionsRoute.Target), live, ready, metrics, openAPI

        var route: Route {
            switch self {
            case .embeddings: .embeddings
            case .rerank: .rerank
            case .classify: .classify
            case .similarity: .similarity
            case .models: .models
            case .model: .model
            case .loadModel: .modelLoad
            case .unloadModel: .modelUnload
            case .devices(let target): target.route
            case .collections(let target): target.route
            case .live: .live
            case .ready: .ready
            case .metrics: .metrics
            case .openAPI: .openAPI
            }
        }
    }

    private func find(_ target: RequestTarget) throws(ApusError) -> Found {
        switch target.segments {
        case ["v1", "embeddings"]: return .embeddings
        case ["v1", "rerank"]: return .rerank
        case ["v1", "classify"]: return .classify
        case ["v1", "similarity"]: return .similarity
        case ["v1", "models"]: return .models
        case ["health", "live"]: return .live
        case ["health", "ready"]: return .ready
        case ["metrics"]: return .metrics
        case ["openapi.json"]: return .openAPI
        default: break
        }
        if target.segments.prefix(2) == ["v1", "models"], let found = Self.model(target.segments.dropFirst(2)) { return found }
        if target.segments.prefix(2) == ["v1", "devices"], let found = DevicesRoute.Target(target.segments.dropFirst(2)) {
            return .devices(found)
        }
        if target.segments.prefix(2) == ["v1", "collections"], let found = CollectionsRoute.Target(target.segments.dropFirst(2)) {
            return .collections(found)
        }
        throw ApusError(.notFound, "there is nothing at \(ClientText.quoted("/" + target.segments.joined(separator: "/")))")
    }

    /// - Parameter segments: of the path, those after `/v1/models`. A name may hold slashes; encoded, `%2F`, they never part it from a verb.
    private static func model(_ segments: ArraySlice<String>) -> Found? {
        let whole = segments.joined(separator: "/")
        let named = segments.dropLast().joined(separator: "/")
        switch segments.last {
        case "load" where !named.isEmpty: return .loadModel(named)
        case "unload" where !named.isEmpty: return .unloadModel(named)
        default: return whole.isEmpty ? nil : .model(whole)
        }
    }

    private func allow(_ route: Route, _ error: ApusError) -> [(String, String)] {
        guard error.code == .methodNotAllowed else { return [] }
        return [("allow", route.allowed)]
    }

    private func answer(
        _ request: HTTPRequest,
        on found: Found,
        at target: RequestTarget,
        arrival: ContinuousClock.Instant
    ) async throws(ApusError) -> HTTPReply {
        let method = request.head.method
        guard found.route.answers(method) else {
            throw ApusError(.methodNotAllowed, "\(ClientText.quoted(method.rawValue)) is not a method of this path")
        }
        switch found {
        case .live:
            return .plain(Array("ok\n".utf8), contentType: "text/plain; charset=utf-8")
        case .ready:
            let report = service.readiness()
            var reply = HTTPReply.json(status: report.isReady ? 200 : 503, ReadinessAnswer.body(report))
            if !report.isReady { reply.headers.append(("retry-after", "1")) }
            return reply
        case .metrics:
            let (text, contentType) = metricsSource()
            return .plain(text, contentType: contentType)
        case .models:
            guard !service.isDraining else { throw InferenceService.shuttingDown }
            return .json(ModelsAnswer.list(service.listModels()))
        case .model(let id):
            guard !service.isDraining else { throw InferenceService.shuttingDown }
            return .json(ModelsAnswer.one(try service.findModel(id)))
        case .loadModel(let id):
            return Self.told(try await service.loadModel(id))
        case .unloadModel(let id):
            return Self.told(try await service.unloadModel(id))
        case .openAPI:
            return .json(openAPI)
        case .devices(let target):
            return try await DevicesRoute(service: service).answer(request, on: target)
        case .collections(let found):
            return try await CollectionsRoute(service: service, maxInputs: maxInputs).answer(request, on: found, at: target, arrival: arrival)
        case .embeddings:
            return try await EmbeddingsRoute(service: service, maxInputs: maxInputs).answer(request, arrival: arrival)
        case .rerank:
            return try await RerankRoute(service: service, maxInputs: maxInputs).answer(request, arrival: arrival)
        case .classify:
            return try await ClassifyRoute(service: service, maxInputs: maxInputs).answer(request, arrival: arrival)
        case .similarity:
            return try await SimilarityRoute(service: service, maxInputs: maxInputs).answer(request, arrival: arrival)
        }
    }

    private static func told(_ state: ModelState) -> HTTPReply {
        .json(status: state.isSettled ? 200 : 202, ModelsAnswer.state(state))
    }

    private func note(_ failure: ApusError?, route: Route, status: Int, requestID: String, duration: Duration) {
        let isOurs = status == 500 || status == 504 || failure?.code == .storeCorrupt || failure?.code == .storeUnavailable
        let level: Logger.Level = failure != nil && isOurs ? .error : .debug
        guard logger.logLevel <= level else { return }
        var metadata: Logger.Metadata = [
            "request_id": "\(requestID)", "route": "\(route.rawValue)", "status": "\(status)", "duration": "\(duration)",
        ]
        if let failure { metadata["code"] = "\(failure.code.rawValue)" }
        if let failure {
            logger.log(level: level, "request failed", error: failure, metadata: metadata)
        } else {
            logger.log(level: level, "request answered", metadata: metadata)
        }
    }
}
