/// Where a model stands between named and in service.
package struct ModelState: Sendable, Equatable {
    /// Spelled as on the wire.
    package enum Standing: String, Sendable, CaseIterable {
        case loading, ready, unloading, unloaded
    }

    package let id: String
    package let standing: Standing

    /// Whether nothing more happens until somebody asks.
    package var isSettled: Bool { standing == .ready || standing == .unloaded }
}
