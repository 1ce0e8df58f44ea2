/// Keeps an engine room as long as somebody uses what is loaded in it.
final class OwnedRoom: Sendable {
    let room: EngineRoom

    init(_ room: EngineRoom) {
        self.room = room
    }

    deinit {
        let room = room
        Task { await room.shutdown() }
    }
}
