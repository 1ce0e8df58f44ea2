package import ApusErrors
import CNVML

/// NVML, loaded and initialised, with the handles of all GPUs. For one thread of a process that may hang: any call can take forever when a
/// GPU is failing.
package struct NVMLSession: ~Copyable {
    /// One GPU in NVML's order.
    struct Device {
        /// Nil when NVML gives none; `code` tells why.
        var handle: OpaquePointer?
        var code: Int32
    }

    /// `580.65.06`; nil when NVML does not tell.
    package let driverVersion: String?
    /// The newest CUDA version that the driver runs, `13.0`.
    package let cudaVersion: String?
    let table: ApusNvml
    let devices: [Device]
    /// Nil when the driver has no events.
    private let events: OpaquePointer?

    /// How many GPUs the driver knows, those that do not answer included.
    package var count: Int { devices.count }

    /// Loads and initialises NVML.
    ///
    /// Throws `nvml_missing` for what stays so until somebody changes the machine (no library, no driver, no GPU) and `nvml_failure`
    /// for anything else.
    package static func open(libraryPath: String = "libnvidia-ml.so.1") throws(ApusError) -> NVMLSession {
        var table = ApusNvml()
        var reason = [CChar](repeating: 0, count: 1_024)
        guard ApusNvmlOpen(libraryPath, &table, &reason, reason.count) == ApusLibraryOpened else {
            throw ApusError(.nvmlMissing, "NVIDIA's management library cannot be used: \(Self.text(reason))", place: libraryPath)
        }
        let code = table.Init_v2?() ?? APUS_NVML_FUNCTION_NOT_FOUND
        guard code == APUS_NVML_SUCCESS else { throw NVMLCode(code).error("NVML does not start", table) }
        return try NVMLSession(table)
    }

    /// - Parameter table: of a library that is initialised.
    private init(_ table: ApusNvml) throws(ApusError) {
        self.table = table
        var count: UInt32 = 0
        let code = table.DeviceGetCount_v2?(&count) ?? APUS_NVML_FUNCTION_NOT_FOUND
        guard code == APUS_NVML_SUCCESS else {
            _ = table.Shutdown?()
            throw NVMLCode(code).error("NVML does not count its GPUs", table)
        }
        devices = (0..<min(count, Self.mostDevices)).map { index in
            var handle: OpaquePointer?
            let code = table.DeviceGetHandleByIndex_v2?(index, &handle) ?? APUS_NVML_FUNCTION_NOT_FOUND
            return Device(handle: code == APUS_NVML_SUCCESS ? handle : nil, code: code)
        }
        driverVersion = Self.text(80) { table.SystemGetDriverVersion?($0, $1) }
        var version: Int32 = 0
        let hasVersion = table.SystemGetCudaDriverVersion_v2?(&version) == APUS_NVML_SUCCESS && version > 0
        cudaVersion = hasVersion ? "\(version / 1_000).\(version % 1_000 / 10)" : nil
        events = Self.xidEvents(table, devices)
    }

    deinit {
        if let events { _ = table.EventSetFree?(events) }
        _ = table.Shutdown?()
    }

    /// More than a machine holds.
    private static let mostDevices: UInt32 = 1_024

    /// An event set that Xid errors of all GPUs come to, as far as they have such events.
    private static func xidEvents(_ table: ApusNvml, _ devices: [Device]) -> OpaquePointer? {
        var set: OpaquePointer?
        guard table.EventSetCreate?(&set) == APUS_NVML_SUCCESS, let set else { return nil }
        for handle in devices.compactMap(\.handle) {
            var supported: UInt64 = 0
            guard table.DeviceGetSupportedEventTypes?(handle, &supported) == APUS_NVML_SUCCESS else { continue }
            let mask = supported & UInt64(APUS_NVML_EVENT_XID)
            if mask != 0 { _ = table.DeviceRegisterEvents?(handle, mask, set) }
        }
        return set
    }

    /// An Xid error and the GPU it came from, by its place in NVML's order.
    package struct XidEvent: Sendable, Equatable {
        package var place: Int
        package var code: Int

        package init(place: Int, code: Int) {
            self.place = place
            self.code = code
        }
    }

    /// Takes the Xid errors that came since the last call; waits for none. 999 stands for a code that the driver does not know.
    package func takeXids() -> [XidEvent] {
        guard let events, let wait = table.EventSetWait_v2 else { return [] }
        var found: [XidEvent] = []
        // A GPU in trouble can send events faster than they are read; the rest comes in the next round.
        while found.count < 256 {
            var data = ApusNvmlEventData()
            guard wait(events, &data, 0) == APUS_NVML_SUCCESS else { break }
            guard data.event_type == APUS_NVML_EVENT_XID, let code = Int(exactly: data.event_data) else { continue }
            if let place = devices.firstIndex(where: { $0.handle != nil && $0.handle == data.device }) {
                found.append(XidEvent(place: place, code: code))
            }
        }
        return found
    }

    /// The text that a call writes into a buffer of `length` bytes; nil unless it succeeds.
    static func text(_ length: Int, _ call: (UnsafeMutablePointer<CChar>, UInt32) -> Int32?) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: length) { buffer in
            buffer.initialize(repeating: 0)
            guard let start = buffer.baseAddress, call(start, UInt32(length)) == APUS_NVML_SUCCESS else { return nil }
            return Self.text(buffer)
        }
    }

    /// The bytes in front of the first NUL.
    static func text(_ buffer: some Sequence<CChar>) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
