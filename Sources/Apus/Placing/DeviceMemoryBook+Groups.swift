import ApusDevices
import ApusErrors
import ApusTensor
import NIOConcurrencyHelpers

extension DeviceMemoryBook {
    /// Promises a model its memory on all devices of a group, or on none; what it had there before is taken back. Throws `insufficient_memory` with
    /// the arithmetic.
    ///
    /// - Parameter shares: what each device holds of the weights, 0 to 1.
    func admit(_ model: String, _ memory: ModelMemory, as form: ServedForm, shares: [(device: DeviceID, share: Double)]) throws(ApusError) {
        for (place, part) in shares.enumerated() {
            var needs = memory.needs(as: form, on: part.device, lanes: 1)
            needs[.weights] = needs[.weights].map { Int((Double($0) * part.share).rounded(.up)) }
            do throws(ApusError) {
                try admit(model, needs, on: part.device)
            } catch {
                for part in shares[..<place] { release(model, on: part.device) }
                throw error
            }
        }
    }
}
