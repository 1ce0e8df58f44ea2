import ApusErrors
import ApusJSON
import ApusService
import NIOCore
import NIOHTTP1

/// `/v1/devices` and what lies under it: wire to request, result to wire.
struct DevicesRoute {
    enum Target {
        case all
        case one(String)
        case clearCaches
        case probe(String)
        case clearCache(String)
        case profile(String)

        /// - Parameter segments: of the path, those after `/v1/devices`.
        init?(_ segments: ArraySlice<String>) {
            guard let id = segments.first else {
                self = .all
                return
            }
            guard !id.isEmpty else { return nil }
            switch Array(segments.dropFirst()) {
            case [] where id == "clear_cache": self = .clearCaches
            case []: self = .one(id)
            case ["probe"]: self = .probe(id)
            case ["clear_cache"]: self = .clearCache(id)
            case ["profile"]: self = .profile(id)
            default: return nil
            }
        }

        var route: ServiceMetrics.Route {
            switch self {
            case .all: .devices
            case .one: .device
            case .clearCaches: .devicesClearCache
            case .probe: .deviceProbe
            case .clearCache: .deviceClearCache
            case .profile: .deviceProfile
            }
        }
    }

    let service: InferenceService

    func answer(_ request: HTTPRequest, on target: Target) async throws(ApusError) -> HTTPReply {
        switch target {
        case .all: return .json(DevicesAnswer.report(try service.listDevices()))
        case .one(let id): return .json(DevicesAnswer.one(try service.findDevice(id)))
        case .clearCaches: return .json(DevicesAnswer.list(try await service.clearCaches()))
        case .probe(let id): return .json(status: 202, DevicesAnswer.one(try service.probe(id)))
        case .clearCache(let id): return .json(DevicesAnswer.one(try await service.clearCache(id)))
        case .profile(let id):
            let steps = try steps(of: request)
            return .json(status: 202, DevicesAnswer.profile(try await service.profile(id, steps: steps)))
        }
    }

    /// `{"steps":N}`; unknown members are ignored.
    private func steps(of request: HTTPRequest) throws(ApusError) -> Int {
        if request.body.readableBytes > 0 { try request.head.headers.requireJSON() }
        let document: Result<JSONValue, ApusError> = request.body.withUnsafeReadableBytes { bytes in
            Result { () throws(ApusError) in try JSONValue(parsing: bytes, limits: JSONLimits(values: 1024)) }
        }
        return try JSONReader(try document.get()).integer("steps")
    }
}
