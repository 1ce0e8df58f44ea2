import ApusErrors
import ApusService
import Testing

/// One device that does whatever it is asked.
private struct OneDevice: DeviceCatalog {
    var capacity = 1.0
    let device = DeviceDescription(
        device: "cpu:0", kind: "cpu", role: "intended", name: "CPU", state: .serving, stage: "healthy", health: .init(verdict: "healthy"))

    var report: DevicesReport {
        DevicesReport(
            devices: [device], service: standing, fallbackRate: 0, uptimeSeconds: 1,
            uptimePercent: 100, averageLatencyMilliseconds: nil, textsPerSecond: 0, engine: nil)
    }

    var standing: ServiceStanding { ServiceStanding(remedy: "none", capacity: capacity, chaos: nil) }

    func probe(_ device: String) throws(ApusError) -> DeviceDescription { self.device }
    func clearCache(_ device: String) async throws(ApusError) -> DeviceDescription { self.device }
    func clearCaches() async -> [DeviceDescription] { [device] }
    func profile(_ device: String, steps: Int) async throws(ApusError) -> String { "\(steps) steps of \(device)" }
}

@Suite("Devices")
struct DeviceTests {
    private func service(_ devices: OneDevice? = OneDevice()) -> InferenceService {
        let model = FixedModel { _, _ in EmbeddingBatch(vectors: [], dimensions: 2, provenance: []) }
        return InferenceService(catalog: OneModel(model: model), devices: devices)
    }

    private func code(_ operation: () async throws -> Void) async -> ApusError.Code? {
        do {
            try await operation()
            return nil
        } catch {
            return (error as? ApusError)?.code
        }
    }

    @Test("A device is asked by its very name")
    func names() async throws {
        let service = service()
        #expect(try await service.profile("cpu:0", steps: 3).directory == "3 steps of cpu:0")
        for name in ["", "cpu", "cpu:00", "CPU:0", "cpu:0\u{301}", "cpu:0\u{0}"] {
            #expect(await code { _ = try service.findDevice(name) } == .unknownDevice)
            #expect(await code { _ = try service.probe(name) } == .unknownDevice)
            #expect(await code { _ = try await service.clearCache(name) } == .unknownDevice)
            #expect(await code { _ = try await service.profile(name, steps: 3) } == .unknownDevice)
        }
    }

    @Test("While the server drains, devices are shown and left alone")
    func draining() async throws {
        let service = service()
        service.beginDraining()
        #expect(try service.listDevices().devices.map(\.device) == ["cpu:0"])
        #expect(try service.findDevice("cpu:0").state == .serving)
        #expect(await code { _ = try service.probe("cpu:0") } == .shuttingDown)
        #expect(await code { _ = try await service.clearCache("cpu:0") } == .shuttingDown)
        #expect(await code { _ = try await service.clearCaches() } == .shuttingDown)
        #expect(await code { _ = try await service.profile("cpu:0", steps: 3) } == .shuttingDown)
    }

    @Test("A service without devices shows none")
    func none() async {
        let service = service(nil)
        #expect(await code { _ = try service.listDevices() } == .notFound)
        #expect(await code { _ = try await service.clearCaches() } == .notFound)
        #expect(service.readiness().standing == nil)
    }

    @Test("Without capacity nobody is ready")
    func capacity() {
        let ready = [ModelReadiness(model: "m", device: "cpu:0", state: .ready)]
        func isReady(_ capacity: Double) -> Bool {
            ReadinessReport(draining: false, models: ready, standing: .init(remedy: "none", capacity: capacity, chaos: nil)).isReady
        }
        #expect(isReady(1) && isReady(0.01))
        #expect(!isReady(0))
    }
}
