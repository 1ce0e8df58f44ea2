import ApusDevices
import ApusErrors
import ApusTensor
import NIOConcurrencyHelpers

extension DeviceMemoryBook {
    /// Promises a model its memory on all devices of a group, or on none; what it had there before is taken back. Throws `insufficient_memory` with
    /// the arithmetic.
    func admit(_ model: String, _ memory: ModelMemory, as form: ServedForm, shares: [GroupShare]) throws(ApusError) {
        for (place, part) in shares.enumerated() {
            do throws(ApusError) {
                try admit(model, memory.needs(as: form, of: part), on: part.device)
            } catch {
                for part in shares[..<place] { release(model, on: part.device) }
                throw error
            }
        }
    }
}
