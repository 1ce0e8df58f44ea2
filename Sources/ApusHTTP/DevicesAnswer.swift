package import ApusJSON
package import ApusService

/// The answers of `/v1/devices` and what lies under it.
package enum DevicesAnswer {
    static func report(_ report: DevicesReport) -> [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        write(report, to: &writer)
        writer.endObject()
        return writer.bytes
    }

    static func list(_ devices: [DeviceDescription]) -> [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.list("devices", devices) { write($1, to: &$0) }
        writer.endObject()
        return writer.bytes
    }

    static func one(_ device: DeviceDescription) -> [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        write(device, to: &writer)
        return writer.bytes
    }

    static func profile(_ reply: ProfileReply) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("device", reply.device)
        writer.member("steps", reply.steps)
        writer.member("directory", reply.directory)
        writer.endObject()
        return writer.bytes
    }

    /// The members of a report, into the object that is open.
    package static func write(_ report: DevicesReport, to writer: inout JSONWriter) {
        writer.list("devices", report.devices) { write($1, to: &$0) }
        writer.member("remedy", report.service.remedy)
        writer.member("capacity", report.service.capacity)
        writer.member("fallback_rate", report.fallbackRate)
        writer.member("uptime_seconds", report.uptimeSeconds)
        writer.member("uptime_pct", report.uptimePercent)
        writer.member("average_latency_ms", report.averageLatencyMilliseconds)
        writer.member("texts_per_second", report.textsPerSecond)
        writer.optional("chaos", report.service.chaos)
        writer.optional("engine", report.engine)
        writer.key("cache")
        if let cache = report.cache { write(cache, to: &writer) } else { writer.null() }
        guard let plan = report.plan else { return }
        writer.key("plan")
        PlanAnswer.write(plan, to: &writer)
    }

    private static func write(_ cache: CacheDescription, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("entries", cache.entries)
        writer.member("max_entries", cache.maxEntries)
        writer.member("used_mb", megabytes(cache.bytes))
        writer.member("max_mb", megabytes(cache.maxBytes))
        writer.member("hits", cache.hits)
        writer.member("misses", cache.misses)
        writer.member("evictions", cache.evictions)
        writer.list("stores", cache.stores) { writer, store in
            writer.beginObject()
            writer.member("level", store.level)
            writer.member("available", store.isAvailable)
            writer.optional("trouble", store.trouble)
            writer.member("writes", store.writes)
            writer.member("dropped_writes", store.drops)
            writer.endObject()
        }
        writer.endObject()
    }

    /// One device as an object.
    package static func write(_ device: DeviceDescription, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("device", device.device)
        writer.member("kind", device.kind)
        writer.member("role", device.role)
        writer.member("name", device.name)
        writer.member("uuid", device.uuid)
        writer.member("state", device.state.rawValue)
        writer.member("stage", device.stage)
        writer.member("fallback", device.fallback)
        writer.optional("serves_as", device.servesAs)
        writer.member("share", device.share)
        writer.optional("pid", device.worker?.pid)
        writer.optional("engine", device.worker?.engine)
        writer.member("restarts", device.restarts)
        writer.list("cores", device.cores) { $0.integer($1) }
        writer.member("lanes", device.lanes)
        writer.member("tensorrt", device.usesTensorRT)
        writer.member("cuda_graphs", device.usesCUDAGraphs)
        writer.optional("grade", device.grade)
        writer.key("memory")
        if let memory = device.memory { write(memory, to: &writer) } else { writer.null() }
        writer.key("gpu")
        if let gpu = device.gpu { write(gpu, to: &writer) } else { writer.null() }
        writer.member("batches", device.work.batches)
        writer.member("failures", device.work.failures)
        writer.member("sequences", device.work.sequences)
        writer.member("average_latency_ms", device.work.averageLatencyMilliseconds)
        writer.member("texts_per_second", device.work.textsPerSecond)
        writer.key("last_reason")
        if let reason = device.lastReason {
            writer.beginObject()
            writer.member("code", reason.code)
            writer.member("text", reason.text)
            writer.endObject()
        } else {
            writer.null()
        }
        writer.optional("last_failure", device.work.lastFailure)
        writer.key("health")
        write(device.health, to: &writer)
        writer.list("models", device.models) { $0.string($1) }
        writer.endObject()
    }

    package static func write(_ health: DeviceDescription.Health, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("verdict", health.verdict)
        writer.list("findings", health.findings) { writer, finding in
            writer.beginObject()
            writer.member("subject", finding.subject)
            writer.member("outcome", finding.outcome)
            writer.member("text", finding.text)
            writer.endObject()
        }
        writer.endObject()
    }

    /// The names are those of DEV-5; a megabyte has 2^20 bytes.
    private static func write(_ memory: DeviceDescription.Memory, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("allocated_mb", megabytes(memory.allocatedBytes))
        writer.member("reserved_mb", megabytes(memory.reservedBytes))
        writer.member("max_allocated_mb", megabytes(memory.maxAllocatedBytes))
        writer.member("total_mb", megabytes(memory.totalBytes))
        writer.member("utilization_pct", rounded(memory.utilizationPercent))
        if let promised = memory.promisedBytes { writer.member("promised_mb", megabytes(promised)) }
        if let worker = memory.workerBytes { writer.member("worker_mb", megabytes(worker)) }
        writer.key("weights")
        writer.beginObject()
        writer.member("layers_mb", megabytes(memory.weights.layers))
        writer.member("embedding_mb", megabytes(memory.weights.embedding))
        writer.member("head_mb", megabytes(memory.weights.head))
        writer.endObject()
        writer.key("buffers")
        writer.beginObject()
        writer.member("hits", memory.buffers.hits)
        writer.member("misses", memory.buffers.misses)
        writer.member("held_mb", megabytes(memory.buffers.heldBytes))
        writer.member("trimmed_mb", megabytes(memory.buffers.trimmedBytes))
        writer.endObject()
        writer.endObject()
    }

    package static func write(_ gpu: GPUDescription, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.optional("nvml_index", gpu.nvmlIndex)
        writer.optional("pci_bus_id", gpu.pciBusID)
        writer.key("memory")
        if let memory = gpu.memory {
            writer.beginObject()
            writer.member("used_mb", megabytes(memory.usedBytes))
            writer.member("free_mb", megabytes(memory.freeBytes))
            writer.member("total_mb", megabytes(memory.totalBytes))
            writer.endObject()
        } else {
            writer.null()
        }
        writer.optional("utilization_percent", gpu.utilizationPercent)
        writer.optional("temperature_celsius", gpu.temperatureCelsius)
        writer.member("power_watts", gpu.powerWatts)
        writer.member("power_limit_watts", gpu.powerLimitWatts)
        writer.list("clock_events", gpu.clockEvents) { $0.string($1) }
        writer.key("ecc")
        if let ecc = gpu.ecc {
            writer.beginObject()
            writer.optional("corrected", ecc.corrected)
            writer.optional("uncorrected", ecc.uncorrected)
            writer.endObject()
        } else {
            writer.null()
        }
        writer.key("remapped_rows")
        if let rows = gpu.remappedRows {
            writer.beginObject()
            writer.member("corrected", rows.corrected)
            writer.member("uncorrected", rows.uncorrected)
            writer.member("pending", rows.isPending)
            writer.member("failed", rows.hasFailed)
            writer.endObject()
        } else {
            writer.null()
        }
        writer.optional("pcie_replays", gpu.pcieReplays)
        writer.optional("recovery", gpu.recovery)
        writer.optional("driver_version", gpu.driverVersion)
        writer.optional("cuda_version", gpu.cudaVersion)
        writer.optional("compute_capability", gpu.computeCapability)
        writer.endObject()
    }

    private static func megabytes(_ bytes: Int) -> Double { rounded(Double(bytes) / 1_048_576) }

    /// Hundredths are enough, and spare readers long tails of digits.
    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}

extension JSONWriter {
    fileprivate mutating func list<Element>(_ name: String, _ elements: [Element], _ body: (inout JSONWriter, Element) -> Void) {
        key(name)
        beginArray()
        for element in elements { body(&self, element) }
        endArray()
    }

    fileprivate mutating func member(_ name: String, _ value: Double?) {
        key(name)
        if let value { number(value) } else { null() }
    }

    fileprivate mutating func optional(_ name: String, _ value: String?) {
        key(name)
        if let value { string(value) } else { null() }
    }

    fileprivate mutating func optional(_ name: String, _ value: (some FixedWidthInteger)?) {
        key(name)
        if let value { integer(value) } else { null() }
    }
}
