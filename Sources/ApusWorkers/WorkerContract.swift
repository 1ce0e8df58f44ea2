package import ApusErrors
package import ApusExecution
package import ApusJSON

/// The first thing a front tells its worker.
package struct WorkerContract: Equatable, Sendable {
    /// The version of everything that crosses. Front and worker are one binary, so any other is refused.
    package static let protocolVersion = 4

    package var settings: ExecutorSettings
    /// The most bytes a lane's region may have.
    package var regionLimit: Int

    package init(settings: ExecutorSettings, regionLimit: Int) {
        self.settings = settings
        self.regionLimit = regionLimit
    }
}

extension WorkerContract {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("protocol", Self.protocolVersion)
        json.member("region_limit", regionLimit)
        json.key("settings")
        settings.write(to: &json)
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        let version = try json.integer("protocol")
        guard version == Self.protocolVersion else {
            throw ApusError(
                .engineIncompatible, "the server speaks version \(version) to its workers, this worker version \(Self.protocolVersion)",
                advice: "Start the server again: its executable was replaced while it ran")
        }
        self.init(settings: try ExecutorSettings(reading: try json.reader("settings")), regionLimit: try json.integer("region_limit"))
    }
}

/// What a worker says once it can serve.
package struct WorkerHello: Equatable, Sendable {
    package var pid: Int32
    package var engineVersion: String

    package init(pid: Int32, engineVersion: String) {
        self.pid = pid
        self.engineVersion = engineVersion
    }
}

extension WorkerHello {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("protocol", WorkerContract.protocolVersion)
        json.member("pid", pid)
        json.member("engine", engineVersion)
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        let (version, pid) = (try json.integer("protocol"), try json.integer("pid"))
        guard version == WorkerContract.protocolVersion, let pid = Int32(exactly: pid) else {
            throw ApusError(.engineIncompatible, "the worker speaks version \(version), the server version \(WorkerContract.protocolVersion)")
        }
        self.init(pid: pid, engineVersion: try json.string("engine"))
    }
}
