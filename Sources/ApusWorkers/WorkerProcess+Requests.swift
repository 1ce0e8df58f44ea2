import ApusErrors
import ApusJSON

extension WorkerProcess {
    /// Sends a request on the loader's channel and reads what comes back, which must be of the kind `wanted`.
    func ask<Value>(
        _ kind: Frame.Kind, _ payload: [UInt8], within deadline: Duration, for wanted: Frame.Kind,
        _ read: (JSONReader) throws(ApusError) -> Value
    ) throws(ApusError) -> Value {
        try perform(on: channels[0]) { channel throws(WorkerChannel.Failure) in
            let answer = try channel.call(kind, payload: payload, within: deadline.nanoseconds)
            do throws(FrameFault) {
                guard answer.kind == wanted else { throw .malformed("\(answer.kind) instead of \(wanted)") }
                return try answer.json(read)
            } catch {
                throw .broken(error)
            }
        }
    }

    /// Sends a request that is answered by nothing but that it was done.
    func ask(_ kind: Frame.Kind, _ payload: [UInt8] = [], within deadline: Duration) throws(ApusError) {
        try perform(on: channels[0]) { channel throws(WorkerChannel.Failure) in
            let answer = try channel.call(kind, payload: payload, within: deadline.nanoseconds)
            guard answer.kind == .done else { throw .broken(.malformed("\(answer.kind) instead of an end")) }
        }
    }
}
