import ApusBatching
import ApusErrors
import ApusExecution
import ApusFleet
import ApusScheduling
import ApusTensor
import Foundation
import NIOConcurrencyHelpers

/// Executors that answer for a while and end when told: what is on their lanes then fails as a worker's death makes it fail.
final class LivingExecutor: Executor {
    let device: DeviceID
    let group: GroupShape?
    let laneCount: Int
    private let lanes: LaneThreads
    private let death = NIOLockedValueBox<ApusError?>(nil)
    private let onShutdown: @Sendable () -> Void

    init(_ settings: ExecutorSettings, _ onShutdown: @escaping @Sendable () -> Void) {
        device = settings.device
        group = settings.group
        laneCount = settings.lanes
        lanes = LaneThreads(count: settings.lanes, name: "living", stackBytes: 1 << 19)
        self.onShutdown = onShutdown
    }

    func die(_ error: ApusError) { death.withLockedValue { $0 = $0 ?? error } }

    /// One step, which takes a millisecond.
    func step(_ numbers: [Int]) throws(ApusError) -> [Int] {
        if let error = death.withLockedValue({ $0 }) { throw error }
        Thread.sleep(forTimeInterval: 0.001)
        if let error = death.withLockedValue({ $0 }) { throw error }
        return numbers.map { $0 * 2 }
    }

    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel { throw ApusError(.engineFailure, "nothing is loaded here") }
    func submit(_ work: @escaping @Sendable () -> Void) { lanes.submit(work) }
    func prepare<Value: Sendable>(_ work: @escaping @Sendable () throws(ApusError) -> Value) async throws(ApusError) -> Value { try work() }
    func memory() async throws(ApusError) -> DeviceMemory { DeviceMemory() }
    func clearCache() async throws(ApusError) {}

    func shutdown() async {
        die(ApusError(.deviceUnavailable, "was shut down"))
        lanes.close()
        onShutdown()
    }
}

struct Number: BatchInput {
    let value: Int
    var tokens: Int { 8 }
    var identity: Int? { nil }
}

struct Doubling: BatchWork {
    let executor: LivingExecutor

    func run(_ inputs: [Number]) throws(ApusError) -> [Int] { try executor.step(inputs.map(\.value)) }
}

/// A model of the real scheduler on executors of this file.
final class ServingModel: FleetModel {
    let name = "doubling"
    let scheduler: BatchScheduler<Doubling>
    private let loaded = NIOLockedValueBox<Set<ObjectIdentifier>>([])

    init(observer: any BatchObserver) throws {
        scheduler = BatchScheduler(
            model: name, policy: try .dynamic(maxWait: .zero, maxBatchSize: 4), metrics: BatchMetrics(model: name), observer: observer)
    }

    func load(onto executor: any Executor) async throws(ApusError) { loaded.withLockedValue { _ = $0.insert(ObjectIdentifier(executor)) } }
    func prove(on executor: any Executor) async throws(ApusError) -> Double { 1 }
    func unload(from executor: any Executor) { loaded.withLockedValue { _ = $0.remove(ObjectIdentifier(executor)) } }

    func open(on executor: any Executor, share: Double, fallback: FallbackStage) {
        guard let living = executor as? LivingExecutor, loaded.withLockedValue({ $0.contains(ObjectIdentifier(executor)) }) else { return }
        scheduler.open(Replica(executor: executor, work: Doubling(executor: living), precision: .fp32, fallback: fallback, share: share))
    }

    func isOpen(on device: DeviceID) -> Bool { scheduler.openDevices.contains(device) }
    func close(_ device: DeviceID) { scheduler.close(device) }
    func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage) { scheduler.adjust(device, share: share, fallback: fallback) }
    func setCapacity(_ capacity: Double) { scheduler.setCapacity(capacity) }
    func refuse(with error: ApusError) { scheduler.refuse(with: error) }
    func expireWaiting() { scheduler.expireWaiting() }
}
