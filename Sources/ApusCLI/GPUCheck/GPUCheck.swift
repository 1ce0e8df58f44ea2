import Apus
import ApusBatching
import ApusDevices
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusFleet
import ApusSimulation
import ApusTensor
import Dispatch
import Foundation
import Logging

/// Tries one device after the other as a server would use it: in a worker process, against the CPU's vectors, under failures.
struct GPUCheck: Sendable {
    let installation: Installation
    /// The program that workers are started from.
    let executable: String
    let model: String
    let scope: Scope
    let progress: @Sendable (String) -> Void

    /// How much is tried.
    struct Scope: Sendable {
        /// Texts of the parity and failure checks.
        var texts: Int
        /// Texts in a call whose time is measured.
        var batches: [Int]
        /// Requests that are under way around a failure.
        var requests: Int

        static let full = Scope(texts: 256, batches: [1, 32, 128, 512], requests: 60)
        /// Enough to see that every check works.
        static let quick = Scope(texts: 48, batches: [1, 32], requests: 24)
    }

    /// Lowest cosine and largest difference at which a device's vectors count as the CPU's.
    static let parityCosine = 0.99999
    private static let parityDifference: Float = 1e-3

    /// `members` are the devices to try, `machine` what the report says about where it was made.
    func run(_ members: [FleetPlan.Member], machine: [(String, String)]) async throws -> GPUCheckReport {
        var report = GPUCheckReport(machine: machine)
        let texts = CheckTexts.make(scope.texts)
        let library = try installation.engineLibrary()
        progress("reference vectors on the CPU")
        let whole = try FleetPlan.wholeCPU(engineLibrary: library)
        let (reference, cpuSpeeds) = try await withRoom(whole, .inProcess) { _, ready in
            (try await vectors(ready, texts), try await speeds(ready))
        }
        for (batch, milliseconds) in cpuSpeeds { report.speeds.append(speed("cpu, all cores", batch, milliseconds, cpuSpeeds)) }
        for member in members {
            let device = member.settings.device.description
            do {
                try await parityAndSpeed(member, texts, reference, cpuSpeeds, &report)
                try await overlap(member, texts, reference, &report)
                try await faults(member, texts, reference, &report)
                try await provokedOutOfMemory(member, texts, &report)
                try await kill(member, texts, reference, &report)
            } catch {
                report.add(device, "use of the device", .failed, "\(error)")
            }
        }
        return report
    }

    private func parityAndSpeed(
        _ member: FleetPlan.Member, _ texts: [String], _ reference: [[Float]], _ cpuSpeeds: [(Int, Double)],
        _ report: inout GPUCheckReport
    ) async throws {
        let device = member.settings.device.description
        progress("\(device): parity and speed")
        let (answers, measured) = try await withRoom(try FleetPlan([member])) { _, ready in
            (try await vectors(ready, texts), try await speeds(ready))
        }
        let (cosine, difference) = Self.agreement(answers, reference)
        let agrees = cosine >= Self.parityCosine && difference <= Self.parityDifference
        report.add(
            device, "parity with the CPU", agrees ? .passed : .failed,
            "\(texts.count) texts: lowest cosine \(cosine), largest difference \(difference); limits \(Self.parityCosine), \(Self.parityDifference)")
        for (batch, milliseconds) in measured { report.speeds.append(speed(device, batch, milliseconds, cpuSpeeds)) }
    }

    /// Each failure once, in the middle of load: everything is answered, and rightly.
    private func faults(
        _ member: FleetPlan.Member, _ texts: [String], _ reference: [[Float]], _ report: inout GPUCheckReport
    ) async throws {
        for fault in [StepFault.oom, .sticky, .crash, .hang] {
            let device = member.settings.device
            progress("\(device): injected \(fault.rawValue)")
            let schedule = ChaosSchedule(ChaosScript([.init(device, fault, .run(5))]), device: device, now: Self.now)
            var member = member
            member.faults = DeviceFaults(
                injector: schedule, beganServing: { schedule.beganServing() }, overlay: { schedule.overlay($0) })
            let ledger = try await withRoom(try FleetPlan([member])) { room, ready in
                let ledger = await load(ready, texts, reference, requests: scope.requests) {}
                return (ledger, room.fleet.status().devices.first?.restarts ?? 0)
            }
            let restarts = fault == .oom ? 0 : 1
            let passed = ledger.0.isClean && ledger.1 == restarts
            report.add(
                device.description, "injected \(fault.rawValue)", passed ? .passed : .failed,
                "\(ledger.0); \(ledger.1) new workers, \(restarts) expected")
        }
    }

    /// A real shortage: the allocator is limited to a little more than the weights.
    private func provokedOutOfMemory(
        _ member: FleetPlan.Member, _ texts: [String], _ report: inout GPUCheckReport
    ) async throws {
        let device = member.settings.device
        guard device.kind == .cuda else {
            report.add(device.description, "provoked out-of-memory", .skipped, "only CUDA allocators have a limit to run into")
            return
        }
        progress("\(device): provoked out-of-memory")
        var member = member
        member.settings.memoryLimitBytes = Self.scarceBytes
        let policy = try BatchPolicy(tokenBudget: 1 << 16, maxBatchSize: 512)
        let long = texts.map { String(repeating: "\($0) ", count: 8) }
        do {
            let reports = try await withRoom(try FleetPlan([member]), policy: policy) { room, ready in
                _ = try await vectors(ready, long)
                return room.fleet.status().devices.first?.failures ?? 0
            }
            report.add(
                device.description, "provoked out-of-memory", .passed,
                "\(long.count) long texts in \(Self.scarceBytes >> 20) MiB: all answered, \(reports) batches were too large and halved")
        } catch let error as ApusError where error.code == .outOfMemory {
            report.add(device.description, "provoked out-of-memory", .passed, "told in one line: \(error)")
        }
    }

    /// SIGKILL in the middle of load.
    private func kill(
        _ member: FleetPlan.Member, _ texts: [String], _ reference: [[Float]], _ report: inout GPUCheckReport
    ) async throws {
        let device = member.settings.device
        progress("\(device): kill and recovery")
        let (ledger, seconds) = try await withRoom(try FleetPlan([member])) { room, ready in
            let absence = Task { try await Self.absence(room.fleet) }
            let ledger = await load(ready, texts, reference, requests: scope.requests) {
                guard let pid = room.fleet.status().devices.first?.identity?.pid else { return }
                Foundation.kill(pid, SIGKILL)
            }
            return (ledger, try await absence.value)
        }
        report.add(
            device.description, "kill -9 under load", ledger.isClean && seconds != nil ? .passed : .failed,
            "\(ledger); \(seconds.map { String(format: "the device was away for %.2f s", $0) } ?? "the device did not come back")")
    }

    /// Seconds from the next moment in which the first device does not serve to the one in which it does again; nil when that takes too long.
    private static func absence(_ fleet: Fleet) async throws -> Double? {
        let began = ContinuousClock.now
        var gone: ContinuousClock.Instant?
        while began.duration(to: .now) < .seconds(120) {
            let serves = fleet.status().devices.first?.isServing ?? false
            if let gone, serves { return gone.duration(to: .now) / .seconds(1) }
            if gone == nil, !serves { gone = .now }
            try await Task.sleep(for: .milliseconds(2))
        }
        return nil
    }

    // MARK: - Tools

    /// Too little for the activations of a large batch of the default model, enough for its weights.
    private static let scarceBytes = 256 << 20

    private static let now: @Sendable () -> Int = { Int(clamping: DispatchTime.now().uptimeNanoseconds) }

    func withRoom<Value: Sendable>(
        _ plan: FleetPlan, _ execution: Execution? = nil, policy: BatchPolicy? = nil,
        _ body: (EngineRoom, ReadyModel) async throws -> Value
    ) async throws -> Value {
        var logger = Logger(label: "apus.check")
        logger.logLevel = .error
        let room = try EngineRoom(
            installation: installation, plan: plan, execution: execution ?? .workers(executable: executable), logger: logger)
        do {
            let ready = try await room.load(directory: try installation.modelDirectory(model), policy: try policy ?? BatchPolicy())
            let value = try await body(room, ready)
            await room.shutdown()
            return value
        } catch {
            await room.shutdown()
            throw error
        }
    }

    func vectors(_ ready: ReadyModel, _ texts: [String]) async throws -> [[Float]] {
        let result = try await ready.embedder.embed(texts.map { .text($0) }).sequences
        return stride(from: 0, to: result.vectors.count, by: result.dimensions).map {
            Array(result.vectors[$0..<($0 + result.dimensions)])
        }
    }

    /// Median milliseconds of one call with so many texts, by their number.
    private func speeds(_ ready: ReadyModel) async throws -> [(Int, Double)] {
        var speeds: [(Int, Double)] = []
        for batch in scope.batches {
            let texts = CheckTexts.make(batch).map { TextInput.text($0) }
            var times: [Double] = []
            for round in 0..<6 {
                let started = ContinuousClock.now
                _ = try await ready.embedder.embed(texts)
                // The first round warms up.
                if round > 0 { times.append(started.duration(to: .now) / .milliseconds(1)) }
            }
            speeds.append((batch, times.sorted()[times.count / 2]))
        }
        return speeds
    }

    private func speed(_ device: String, _ batch: Int, _ milliseconds: Double, _ cpu: [(Int, Double)]) -> GPUCheckReport.Speed {
        let base = cpu.first { $0.0 == batch }?.1 ?? milliseconds
        return GPUCheckReport.Speed(
            device: device, batch: batch, milliseconds: milliseconds, textsPerSecond: Double(batch) / milliseconds * 1000,
            ratio: base / milliseconds)
    }

    /// What became of the requests of one load.
    private struct Ledger: Sendable, CustomStringConvertible {
        var requests = 0
        var wrong = 0
        var failed: [String] = []

        var isClean: Bool { wrong == 0 && failed.isEmpty }

        var description: String {
            let failures = failed.isEmpty ? "" : " (\(failed[0]))"
            return "\(requests) requests, \(failed.count) failed\(failures), \(wrong) wrong vectors"
        }
    }

    /// Four callers with eight texts a request; `midway` is called when half of the requests are answered.
    private func load(
        _ ready: ReadyModel, _ texts: [String], _ reference: [[Float]], requests: Int, midway: @Sendable () -> Void
    ) async -> Ledger {
        var ledger = Ledger()
        await withTaskGroup(of: (Int, Result<[[Float]], any Error>).self) { group in
            var next = 0
            func send() {
                let first = next * 8 % (texts.count - 8)
                next += 1
                group.addTask {
                    do { return (first, .success(try await vectors(ready, Array(texts[first..<(first + 8)])))) } catch {
                        return (first, .failure(error))
                    }
                }
            }
            for _ in 0..<4 { send() }
            for await (first, result) in group {
                ledger.requests += 1
                switch result {
                case .success(let vectors):
                    let (cosine, _) = Self.agreement(vectors, Array(reference[first..<(first + 8)]))
                    if cosine < Self.parityCosine { ledger.wrong += 1 }
                case .failure(let error): ledger.failed.append("\(error)")
                }
                if ledger.requests == requests / 2 { midway() }
                if next < requests { send() }
            }
        }
        return ledger
    }

    /// Lowest cosine and largest difference; -1 and infinity for vectors that cannot be compared.
    static func agreement(_ vectors: [[Float]], _ reference: [[Float]]) -> (cosine: Double, difference: Float) {
        guard vectors.count == reference.count else { return (-1, .infinity) }
        var (lowest, largest) = (1.0, Float(0))
        for (vector, expected) in zip(vectors, reference) {
            guard vector.count == expected.count else { return (-1, .infinity) }
            var (dot, aa, bb) = (0.0, 0.0, 0.0)
            for (x, y) in zip(vector, expected) {
                dot += Double(x) * Double(y)
                aa += Double(x) * Double(x)
                bb += Double(y) * Double(y)
                largest = max(largest, abs(x - y))
            }
            let cosine = dot / (aa * bb).squareRoot()
            lowest = min(lowest, cosine.isNaN ? -1 : cosine)
        }
        return (lowest, largest)
    }
}
