import ApusCheckpoint
import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor
import Logging

extension EngineRoom {
    /// What a model runs as on each device that it may come onto: measured where that is not known yet.
    ///
    /// Throws `unsupported_precision` for what an intended device cannot do. A device that stands in does what it can, which is logged.
    func forms(
        of subject: PrecisionSubject, _ request: PrecisionRequest, only device: DeviceID?
    ) async throws(ApusError) -> [DeviceID: ServedForm] {
        let members = members.filter { device == nil || $0.settings.device == device || $0.role != .intended }
        var forms: [DeviceID: ServedForm] = [:]
        for member in members { forms[member.settings.device] = try await form(of: subject, request, on: member) }
        return forms
    }

    /// The devices that a model is meant to be on.
    func intended(only device: DeviceID?) -> [DeviceID] {
        members.filter { $0.role == .intended && (device == nil || $0.settings.device == device) }.map(\.settings.device)
    }

    private func form(
        of subject: PrecisionSubject, _ request: PrecisionRequest, on member: FleetPlan.Member
    ) async throws(ApusError) -> ServedForm {
        let (device, name) = (member.settings.device, subject.checkpoint.name)
        let precision = request.precision(on: device.kind)
        if case .onnx(let file) = subject.checkpoint.source {
            guard precision == .auto || precision == file.precision else {
                throw ApusError(
                    .unsupportedPrecision, "the model is an ONNX file in \(file.precision.rawValue), \(precision.rawValue) is not available",
                    place: name, advice: "Use --precision \(file.precision.rawValue) or auto")
            }
            return ServedForm(file: file.precision, floor: request.floor)
        }
        if let form = try shardForm(precision, floor: request.floor, on: device.kind, name) { return form }
        do throws(ApusError) {
            return ServedForm(try await trials.choice(for: subject, on: member, request))
        } catch {
            if error.code == .cancelled { throw error }
            if error.code == .unsupportedPrecision {
                guard member.role != .intended, precision != .auto, subject.checkpoint.quantization == nil else { throw error }
                logger.notice("\(name) on \(device), which stands in: \(error.message); it takes what is measured to be fastest")
                return try await form(of: subject, PrecisionRequest(floor: request.floor), on: member)
            }
            guard precision == .auto || precision == .fp32, subject.checkpoint.quantization == nil else { throw error }
            // A device that fails now may serve later, and proves itself then.
            logger.warning("\(name) is served in fp32 on \(device), where other forms could not be measured: \(error)")
            return ServedForm(
                PrecisionChoice(
                    unmeasured: device.kind.networkForm, floor: request.floor(of: .fp32), reason: "other forms could not be measured"))
        }
    }
}
