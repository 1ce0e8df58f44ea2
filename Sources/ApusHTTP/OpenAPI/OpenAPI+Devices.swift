import ApusErrors
import ApusExecution
import ApusService

/// The routes that tell of devices and let an operator act on them.
extension OpenAPI.Document {
    private typealias Schema = OpenAPI.Schema

    var listDevices: OpenAPI.Operation {
        let store = Schema.object([
            "level": .string(), "available": .flag(), "trouble": Schema.string().orNull, "writes": Self.count, "dropped_writes": Self.count,
        ])
        let cache = Schema.object([
            "entries": Self.count, "max_entries": Self.count, "used_mb": Self.megabytes, "max_mb": Self.megabytes, "hits": Self.count,
            "misses": Self.count, "evictions": Self.count, "stores": .list(of: store),
        ])
        let report = Schema.object(
            [
                "devices": .list(of: .named(.device)), "remedy": .string("Who stands in for devices that do not serve"),
                "capacity": .number("Share of the intended speed that is there", from: 0), "fallback_rate": .number(from: 0, to: 1),
                "uptime_seconds": .number(from: 0), "uptime_pct": Schema.number(from: 0, to: 100).orNull,
                "average_latency_ms": Schema.number(from: 0).orNull, "texts_per_second": .number(from: 0),
                "chaos": Schema.string("Failures that are caused on purpose").orNull, "engine": Schema.string("Its name and version").orNull,
                "cache": cache.orNull, "plan": .named(.plan),
            ],
            required: [
                "devices", "remedy", "capacity", "fallback_rate", "uptime_seconds", "uptime_pct", "average_latency_ms", "texts_per_second", "chaos",
                "engine", "cache",
            ])
        return OpenAPI.Operation(
            id: "listDevices", tag: .devices, summary: "All devices, and how much of their strength is there",
            answers: [.init(about: "The devices", schema: report)], errors: [.notFound])
    }

    var getDevice: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "getDevice", tag: .devices, summary: "One device", parameters: [Self.deviceID],
            answers: [.init(about: "The device", schema: .named(.device))], errors: Self.deviceErrors)
    }

    var probeDevice: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "probeDevice", tag: .devices, summary: "Try a device that stays away again now", parameters: [Self.deviceID],
            answers: [.init(status: 202, about: "It will be tried", schema: .named(.device))], errors: Self.deviceErrors)
    }

    var clearCache: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "clearDeviceCache", tag: .devices, summary: "Give back memory that a device keeps for later", parameters: [Self.deviceID],
            answers: [.init(about: "The device after it", schema: .named(.device))], errors: Self.deviceErrors + Self.deviceFailures)
    }

    var clearCaches: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "clearDeviceCaches", tag: .devices, summary: "Give back memory that devices keep for later",
            answers: [.init(about: "The devices that did it", schema: .object(["devices": .list(of: .named(.device))]))], errors: [.notFound])
    }

    var profileDevice: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "profileDevice", tag: .devices, summary: "Take down profiles of a device's next steps", parameters: [Self.deviceID],
            body: .init(schema: .profileRequest, examples: ["twenty": ["steps": 20]]),
            answers: [
                .init(
                    status: 202, about: "It has begun",
                    schema: .object(["device": .string(), "steps": .integer(from: 1), "directory": .string("Where the files will be")]))
            ],
            errors: Self.deviceErrors + Self.bodyErrors + Self.deviceFailures + [.fileUnwritable])
    }

    private static let deviceID = OpenAPI.Parameter(
        name: "id", place: .path, about: "A device's name", schema: .string(length: 1...512), example: "cpu:0")
    private static let deviceErrors: [ApusError.Code] = [.unknownDevice, .notFound]
    private static let deviceFailures: [ApusError.Code] = [
        .deviceUnavailable, .workerKilled, .workerCrashed, .deviceHung, .deviceLost, .devicePoisoned, .deviceGone, .outOfMemory, .engineFailure,
        .noDevice,
    ]

    private static let count = Schema.integer(from: 0)
    private static let megabytes = Schema.number(from: 0)

    var device: OpenAPI.Schema {
        let finding = Schema.object(["subject": .string(), "outcome": .string(), "text": .string()])
        return .object([
            "device": .string("cpu:0"), "kind": .string(), "role": .choice(["intended", "spare", "standby"]), "name": .string(), "uuid": .string(),
            "state": .choice(DeviceDescription.State.allCases.map(\.rawValue)), "stage": .string("How far it is from health"),
            "fallback": .choice(EmbeddingProvenance.Fallback.allCases.map(\.rawValue), "Whether it is expected back"),
            "serves_as": Schema.string("What its clients are told").orNull, "share": .number("Of a batch's usual size", from: 0, to: 1),
            "pid": Schema.integer().orNull, "engine": Schema.string().orNull, "restarts": Self.count, "cores": .list(of: Self.count),
            "lanes": .integer(from: 1), "tensorrt": .flag(), "cuda_graphs": .flag(),
            "grade": Schema.string("A to F", pattern: "^[A-F]$").orNull, "memory": Schema.named(.deviceMemory).orNull,
            "gpu": Schema.named(.gpu).orNull, "batches": Self.count, "failures": Self.count, "sequences": Self.count,
            "average_latency_ms": Schema.number(from: 0).orNull, "texts_per_second": .number(from: 0),
            "last_reason": Schema.object(["code": .string(), "text": .string()]).orNull, "last_failure": Schema.string().orNull,
            "health": .object(["verdict": .string(), "findings": .list(of: finding)]), "models": .list(of: .string()),
        ])
    }

    var deviceMemory: OpenAPI.Schema {
        .object(
            [
                "allocated_mb": Self.megabytes, "reserved_mb": Self.megabytes, "max_allocated_mb": Self.megabytes, "total_mb": Self.megabytes,
                "utilization_pct": .number(from: 0), "promised_mb": Self.megabytes, "worker_mb": Self.megabytes,
                "weights": .object(["layers_mb": Self.megabytes, "embedding_mb": Self.megabytes, "head_mb": Self.megabytes]),
                "buffers": .object(["hits": Self.count, "misses": Self.count, "held_mb": Self.megabytes, "trimmed_mb": Self.megabytes]),
            ],
            required: ["allocated_mb", "reserved_mb", "max_allocated_mb", "total_mb", "utilization_pct", "weights", "buffers"])
    }

    var gpu: OpenAPI.Schema {
        let (number, text) = (Schema.number().orNull, Schema.string().orNull)
        return .object([
            "nvml_index": number, "pci_bus_id": text,
            "memory": Schema.object(["used_mb": Self.megabytes, "free_mb": Self.megabytes, "total_mb": Self.megabytes]).orNull,
            "utilization_percent": number, "temperature_celsius": number, "power_watts": number, "power_limit_watts": number,
            "clock_events": .list(of: .string()), "ecc": Schema.object(["corrected": number, "uncorrected": number]).orNull,
            "remapped_rows": Schema.object(["corrected": Self.count, "uncorrected": Self.count, "pending": .flag(), "failed": .flag()]).orNull,
            "pcie_replays": number, "recovery": text, "driver_version": text, "cuda_version": text, "compute_capability": text,
        ])
    }

    var plan: OpenAPI.Schema {
        let unit = Schema.object([
            "devices": .list(of: .list(of: .string())), "layers": .list(of: .list(of: Self.count, from: 2, to: 2)), "state": .string(),
            "utilization": Schema.number(from: 0).orNull, "stage_occupancy": .list(of: .number(from: 0)),
            "predicted_balance": Schema.number(from: 1).orNull, "measured_balance": Schema.number(from: 1).orNull,
        ])
        let step = Schema.object(["step": .string(), "cause": .string(), "text": .string(), "seconds_ago": .number(from: 0)])
        return .object(
            [
                "wished": .string("[[0,1],[2,3]]"), "current": Schema.string().orNull, "strategy": .string(), "replicas": Self.count,
                "serving_replicas": Self.count, "min_replicas": Self.count, "max_replicas": Self.count, "away": .list(of: .string()),
                "units": .list(of: unit), "last_step": step.orNull,
            ], required: ["wished", "current", "strategy", "replicas", "serving_replicas", "away", "units", "last_step"])
    }
}
