import ApusErrors
import ApusExecution
import ApusFleet
import ApusScheduling
import ApusTensor
import NIOConcurrencyHelpers

/// One model on all the devices that it is put on.
final class PlacedModel<Recipe: ModelRecipe>: FleetModel {
    /// What models of one room share.
    struct Room: Sendable {
        let memory: DeviceMemoryBook
        let lanes: LaneBook
        let ceilings: BatchCeilings
    }

    let name: String
    let assignedDevice: DeviceID?
    let scheduler: BatchScheduler<Recipe.Work>
    private let recipe: Recipe
    private let room: Room
    private let needs: ModelMemory
    private let segments: SegmentRequest
    private let choices: SegmentChoices
    /// SHA-256 of the weights.
    private let weights: String
    /// Tokens of a batch where the policy names no budget; nil leaves it to the device.
    private let tokenBudget: Int?
    private let state = NIOLockedValueBox(State())

    private struct State {
        var loaded: [ObjectIdentifier: (device: DeviceID, devices: Set<DeviceID>, work: Recipe.Work)] = [:]
        /// By device, of the latest proof.
        var cosines: [DeviceID: Double] = [:]
        var isRetired = false

        /// Those of `devices` that nothing is loaded on.
        func unused(_ devices: Set<DeviceID>) -> Set<DeviceID> {
            devices.subtracting(loaded.values.flatMap(\.devices))
        }
    }

    init(
        name: String, _ recipe: Recipe, scheduler: BatchScheduler<Recipe.Work>, needs: ModelMemory,
        segments: SegmentRequest = .automatic, choices: SegmentChoices = SegmentChoices(), weights: String, tokenBudget: Int? = nil, room: Room, only assignedDevice: DeviceID? = nil
    ) {
        self.name = name
        self.recipe = recipe
        self.scheduler = scheduler
        self.needs = needs
        self.segments = segments
        self.choices = choices
        self.weights = weights
        self.tokenBudget = tokenBudget
        self.room = room
        self.assignedDevice = assignedDevice
    }

    /// The latest proofs: the lowest cosine to the known answer.
    var cosines: [DeviceID: Double] { state.withLockedValue { $0.cosines } }

    /// What it runs as on `device`.
    func served(on device: DeviceID) -> ServedForm { recipe.served(on: device) }

    /// How it is cut on `device`; nil for whole.
    func segmentation(on device: DeviceID) -> Segmentation? { choices[device]?.segmentation }

    /// The model where it was loaded first; nil while it is nowhere.
    var anyWork: Recipe.Work? { state.withLockedValue { $0.loaded.values.min { $0.device < $1.device }?.work } }

    func load(onto executor: any Executor) async throws(ApusError) {
        guard work(on: executor) == nil else { return }
        let choice = try admit(executor)
        let devices = Self.devices(of: executor)
        do throws(ApusError) {
            let work = try await recipe.load(onto: executor, choice?.segmentation)
            if let choice { choices.put(choice, on: executor.device) } else { choices.forget(executor.device) }
            let isWanted = state.withLockedValue { state in
                if !state.isRetired { state.loaded[ObjectIdentifier(executor)] = (executor.device, devices, work) }
                return !state.isRetired
            }
            guard isWanted else { throw .unloaded(name) }
        } catch {
            for device in state.withLockedValue({ $0.unused(devices) }) { room.memory.release(name, on: device) }
            throw error
        }
    }

    /// Promises the memory that loading onto `executor` takes; nil where several devices share the model, which is not cut any further then.
    private func admit(_ executor: any Executor) throws(ApusError) -> SegmentChoice? {
        let form = recipe.served(on: executor.device)
        guard let group = executor.group else { return try room.memory.admit(name, needs, segments, as: form, on: executor.device) }
        try room.memory.admit(name, needs, as: form, shares: try recipe.shares(in: group))
        return nil
    }

    private static func devices(of executor: any Executor) -> Set<DeviceID> {
        Set(executor.group?.devices.flatMap(\.self) ?? [executor.device])
    }

    func prove(on executor: any Executor) async throws(ApusError) -> Double {
        guard let work = work(on: executor) else {
            throw ApusError(.deviceUnavailable, "\(name) is not loaded on \(executor.device)")
        }
        let recipe = recipe
        let cosine = try await executor.prepare { () throws(ApusError) in try recipe.lowestCosine(of: work) }
        let floor = recipe.served(on: executor.device).floor
        guard let cosine, cosine >= floor else {
            throw ApusError(
                .wrongAnswer,
                "the known answer on \(executor.device) has a cosine of \(cosine.map { "\($0)" } ?? "no number") to the plain graph's, \(floor) or more is wanted",
                place: name, advice: "Try --precision fp32, another engine version, and `apus doctor`")
        }
        state.withLockedValue { $0.cosines[executor.device] = cosine }
        return cosine
    }

    func unload(from executor: any Executor) {
        let unused = state.withLockedValue { state -> Set<DeviceID> in
            guard let gone = state.loaded.removeValue(forKey: ObjectIdentifier(executor)) else { return [] }
            if !state.loaded.values.contains(where: { $0.device == gone.device }) { state.cosines[gone.device] = nil }
            return state.unused(gone.devices)
        }
        for device in unused { room.memory.release(name, on: device) }
    }

    func retire() async {
        await scheduler.drain(refusing: .unloaded(name))
        state.withLockedValue { $0.isRetired = true }
        // The last batch was answered a moment before its lane let go of the model.
        await room.lanes.leave(name)
    }

    func open(on executor: any Executor, share: Double, fallback: FallbackStage) {
        guard let work = work(on: executor) else { return }
        let form = recipe.served(on: executor.device)
        scheduler.open(
            Replica(
                executor: executor, work: work, lanes: room.lanes.lanes(of: executor), precision: form.precision,
                tokenBudget: choices[executor.device]?.tokenBudget ?? tokenBudget,
                ceiling: room.ceilings.ceiling(.init(weights: weights, device: executor.device, form: choices.label(form, on: executor.device))),
                fallback: fallback, share: share))
    }

    func isOpen(on device: DeviceID) -> Bool { scheduler.openDevices.contains(device) }

    func close(_ device: DeviceID) {
        scheduler.close(device)
        state.withLockedValue { $0.cosines[device] = nil }
    }

    func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage) {
        scheduler.adjust(device, share: share, fallback: fallback)
    }

    func setCapacity(_ capacity: Double) { scheduler.setCapacity(capacity) }

    func refuse(with error: ApusError) { scheduler.refuse(with: error) }

    func expireWaiting() { scheduler.expireWaiting() }

    var queuedSeconds: Double? { scheduler.estimatedWait() }

    private func work(on executor: any Executor) -> Recipe.Work? {
        state.withLockedValue { $0.loaded[ObjectIdentifier(executor)]?.work }
    }
}

extension ApusError {
    /// What those are told who ask for a model that was taken out of service.
    static func unloaded(_ model: String) -> ApusError {
        ApusError(.modelUnloaded, "the model was unloaded", place: model, advice: "Load it again, or ask for another model")
    }
}
