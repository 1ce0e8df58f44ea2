import ApusErrors

/// What an operator sees of the devices and asks of them.
struct DevicesOperation: Sendable {
    let catalog: any DeviceCatalog

    func find(_ device: String) throws(ApusError) -> DeviceDescription {
        let devices = catalog.report.devices
        guard let found = devices.first(where: { $0.device.utf8.elementsEqual(device.utf8) }) else {
            throw ApusError(
                .unknownDevice, "there is no device \(ClientText.quoted(device))",
                advice: "There are \(devices.map(\.device).joined(separator: ", "))")
        }
        return found
    }

    func profile(_ device: String, steps: Int) async throws(ApusError) -> ProfileReply {
        let found = try find(device)
        return ProfileReply(device: found.device, steps: steps, directory: try await catalog.profile(found.device, steps: steps))
    }
}

/// Profiles that have begun to be taken down.
package struct ProfileReply: Sendable, Equatable {
    package let device: String
    package let steps: Int
    /// Where the files will be.
    package let directory: String
}
