import ApusCheckpoint
import ApusDevices
import ApusEmbeddings
package import ApusErrors
import ApusExecution
package import ApusFleet
import ApusGraph
package import ApusTensor
import ApusTokenizers
import Foundation
import NIOConcurrencyHelpers

/// Measures how fast a model runs on devices, in a short run of the model itself on each, one after the other. What was measured once is
/// remembered by device, driver, engine and model.
package struct SpeedTrials: Sendable {
    package struct Outcome: Sendable {
        /// Texts a second; 0 for a device that could not be tried.
        package var scores: [DeviceID: Double] = [:]
        /// Why devices could not be tried.
        package var failures: [DeviceID: ApusError] = [:]
    }

    private let store: MeasuredScoreStore
    /// What was measured of the ways to share a CPU device's cores out.
    let arrangements: MeasuredScoreStore
    private let precisions: PrecisionTrials
    private let source: any ExecutorSource
    private let engineLibrary: String

    /// Texts of one step.
    private static let batchSize = 16
    /// How long each lane runs.
    private static let time = Duration.milliseconds(300)

    package init(installation: Installation, engineLibrary: String, execution: Execution) {
        store = MeasuredScoreStore(path: installation.cacheDirectory("scores").map { "\($0)/scores.json" })
        arrangements = MeasuredScoreStore(path: installation.cacheDirectory("scores").map { "\($0)/lanes.json" })
        precisions = PrecisionTrials(installation: installation, engineLibrary: engineLibrary, execution: execution)
        source = execution.source(engineLibrary: engineLibrary)
        self.engineLibrary = engineLibrary
    }

    /// Tries the model in `directory` on `members`, on each in the form that it would be served in. Throws what reading the model throws; a device that fails is told of in the outcome.
    package func run(
        _ members: [FleetPlan.Member], model directory: String, _ request: PrecisionRequest = PrecisionRequest()
    ) async throws(ApusError) -> Outcome {
        let subject = try await BlockingWork.run { () throws(ApusError) in try PrecisionSubject(directory: directory) }
        var outcome = Outcome()
        var batch: EncoderBatch?
        for member in members {
            let device = member.settings.device
            do throws(ApusError) {
                let form = try await form(of: subject, on: member, request)
                let key = key(member, "\(subject.weights) \(form)")
                if let known = store.score(key) {
                    outcome.scores[device] = known
                    continue
                }
                let texts = if let batch { batch } else { try await Self.batch(subject) }
                batch = texts
                let score = try await measure(member, subject, form, texts)
                store.record(score, for: key)
                outcome.scores[device] = score
            } catch {
                outcome.scores[device] = 0
                outcome.failures[device] = error
            }
        }
        subject.checkpoint.releaseMappedPages()
        return outcome
    }

    /// What the model is served as on `member`; of a network that is a file whatever the device's kind has, which says nothing then.
    func form(
        of subject: PrecisionSubject, on member: FleetPlan.Member, _ request: PrecisionRequest
    ) async throws(ApusError) -> NetworkForm {
        guard case .encoder = subject.checkpoint.source else { return member.settings.device.kind.networkForm }
        return try await precisions.choice(for: subject, on: member, request).form
    }

    func key(_ member: FleetPlan.Member, _ weights: String) -> MeasuredScoreStore.Key {
        let settings = member.settings
        let cores = settings.cores.map(String.init).joined(separator: ",")
        let name = member.info.uuid.isEmpty ? member.info.name : member.info.uuid
        let helpers = settings.helpers > 0 ? "+\(settings.helpers)" : ""
        return MeasuredScoreStore.Key(
            device: "\(settings.device.kind.rawValue) \(name) \(cores) x\(settings.lanes)\(helpers)", driver: member.info.driverVersion ?? "",
            engine: URL(fileURLWithPath: engineLibrary).resolvingSymlinksInPath().lastPathComponent,
            model: settings.tensorRT == nil ? weights : "\(weights) tensorrt")
    }

    func measure(
        _ member: FleetPlan.Member, _ subject: PrecisionSubject, _ form: NetworkForm, _ batch: EncoderBatch
    ) async throws(ApusError) -> Double {
        try await source.withExecutor(member.settings) { executor throws(ApusError) in
            let encoder = try await SentenceEncoder.load(subject.checkpoint, onto: executor, form: form)
            // The first step makes room and picks kernels, which later ones need not.
            _ = try await executor.prepare { () throws(ApusError) in try encoder.run(batch) }
            return try await Self.throughput(executor, encoder, batch, time: Self.time).get()
        }
    }

    /// All lanes at once, each until its time is over.
    static func throughput(
        _ executor: any Executor, _ encoder: SentenceEncoder, _ batch: EncoderBatch, time: Duration
    ) async -> Result<Double, ApusError> {
        let started = ContinuousClock.now
        let runs: [Result<Int, ApusError>] = await withTaskGroup(of: Result<Int, ApusError>.self) { group in
            for _ in 0..<executor.laneCount {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        executor.submit {
                            continuation.resume(
                                returning: Result { () throws(ApusError) in
                                    var runs = 0
                                    repeat {
                                        _ = try encoder.run(batch)
                                        runs += 1
                                    } while ContinuousClock.now - started < time
                                    return runs
                                })
                        }
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let seconds = (ContinuousClock.now - started) / .seconds(1)
        return Result { () throws(ApusError) in
            var texts = 0
            for run in runs { texts += try run.get() * batch.count }
            return Double(texts) / seconds
        }
    }

    /// The built-in sentences, over and over.
    static func batch(_ subject: PrecisionSubject) async throws(ApusError) -> EncoderBatch {
        let (checkpoint, tokenizer) = (subject.checkpoint, subject.tokenizer)
        return try await BlockingWork.run { () throws(ApusError) in
            let sequences = ProofTexts.sentences.compactMap { sentence -> EncoderBatch.Sequence? in
                let encoding = tokenizer.encode(sentence).truncated(to: checkpoint.maxTokens)
                return encoding.ids.isEmpty ? nil : EncoderBatch.Sequence(encoding, checkpoint.typeVocabularySize)
            }
            guard !sequences.isEmpty else { throw ApusError(.invalidTokenizer, "no token comes of any text", place: checkpoint.name) }
            return EncoderBatch((0..<batchSize).map { sequences[$0 % sequences.count] })
        }
    }
}
