import ApusErrors
import ApusTensor

// What is wrong with a request whatever the devices' memory.
extension PlanRequest {
    func refusal(_ message: String, advice: String? = nil) -> ApusError {
        ApusError(.unsupportedPlan, message, place: model.name, advice: advice)
    }

    func checkDevices() throws(ApusError) {
        guard !devices.isEmpty else { throw refusal("there is no device to plan for") }
        try requireOnce(devices.map(\.id))
        for list in [wishes.deviceIDs, wishes.preferredDevices] {
            try requireOnce(list)
            try requireKnown(list)
        }
        if let assigned = wishes.assignedDevice(of: model.name) { try requireKnown([assigned]) }
    }

    func checkWishes() throws(ApusError) {
        let sizes = [
            ("tensor_parallel", wishes.tensorParallel), ("pipeline_parallel", wishes.pipelineParallel), ("replicas", wishes.replicas),
        ]
        for (name, size) in sizes {
            if let size, size < 1 { throw refusal("\(name) is \(size); 1 is the least") }
        }
        if !wishes.cuts.isEmpty { try checkCuts() }
        let (tensor, pipeline, replicas) = (wishes.tensorParallel ?? 1, wishes.stages ?? 1, wishes.replicas ?? 1)
        func contradiction(_ sizes: (String, Int)...) -> ApusError? {
            guard let (name, size) = sizes.first(where: { $0.1 > 1 }) else { return nil }
            return refusal(
                "\(name) \(size) contradicts the strategy \(wishes.strategy.rawValue)",
                advice: "Leave one of them out, or take the strategy auto")
        }
        let contradiction: ApusError? =
            switch wishes.strategy {
            case .automatic: nil
            case .dataParallel: contradiction(("tensor_parallel", tensor), ("pipeline_parallel", pipeline))
            case .pipeline: contradiction(("tensor_parallel", tensor))
            case .tensor: contradiction(("pipeline_parallel", pipeline))
            case .hybrid: nil
            case .none: contradiction(("tensor_parallel", tensor), ("pipeline_parallel", pipeline), ("replicas", replicas))
            }
        if let contradiction { throw contradiction }
        if let assigned = wishes.assignedDevice(of: model.name) {
            guard wishes.splits.isEmpty, tensor == 1, pipeline == 1, replicas == 1 else {
                throw refusal("the model is assigned to \(assigned) alone, and more than one device is asked for")
            }
        }
        if !wishes.splits.isEmpty { try checkSplits(tensor: tensor, replicas: replicas) }
    }

    private func checkCuts() throws(ApusError) {
        let text = wishes.cuts.map(\.debugDescription).joined(separator: ", ")
        guard model.cutTensors == wishes.cuts else {
            throw refusal(
                "a cut behind \(text) is asked for, and only the network of an ONNX file is cut behind tensors by their names",
                advice: model.layers.count > 1 ? "Name layers: --split \(model.layers.count / 2):DEVICE,\(model.layers.count):DEVICE" : nil)
        }
        guard wishes.splits.isEmpty else { throw refusal("cuts behind tensors and split points are asked for", advice: "Leave one of them out") }
        guard wishes.pipelineParallel == nil || wishes.pipelineParallel == wishes.cuts.count + 1 else {
            throw refusal(
                "the cuts behind \(text) make \(wishes.cuts.count + 1) stages, and pipeline_parallel \(wishes.pipelineParallel ?? 0) is asked for",
                advice: "Leave out pipeline_parallel")
        }
    }

    private func checkSplits(tensor: Int, replicas: Int) throws(ApusError) {
        let points = wishes.splits
        let text = points.map(\.description).joined(separator: ",")
        guard tensor == 1, replicas == 1, wishes.pipelineParallel == nil || wishes.pipelineParallel == points.count else {
            let asked = "tensor_parallel \(tensor), pipeline_parallel \(wishes.pipelineParallel ?? points.count), replicas \(replicas)"
            throw refusal(
                "the split points \(text) make one replica of \(points.count) stages of one device each, and \(asked) are asked for",
                advice: "Leave out the split points or the other figures")
        }
        guard [.automatic, .pipeline, .hybrid].contains(wishes.strategy) else {
            throw refusal("the split points \(text) contradict the strategy \(wishes.strategy.rawValue)", advice: "Take the strategy pipeline or auto")
        }
        try requireKnown(points.map(\.device))
        let layers = model.layers.count
        func nearest() -> String {
            let devices = points.map(\.device).reduce(into: [DeviceID]()) { if !$0.contains($1) { $0.append($1) } }
            let stages = min(devices.count, layers)
            let pool = devices.prefix(stages).compactMap { device($0) }
            guard let replica = replica(PlanShape(pipeline: stages), on: pool.map { [$0] }) else { return "Leave the split points out" }
            let ends = replica.stages.map { "\($0.layers.upperBound):\($0.ranks[0].device)" }.joined(separator: ",")
            return "The nearest that works is \(ends)"
        }
        var end = 0
        for point in points {
            guard point.end > end else {
                let what = point.end == end ? "leaves no layer for \(point.device)" : "goes back from layer \(end) to layer \(point.end)"
                throw refusal("the split points \(text) overlap: \(point) \(what)", advice: nearest())
            }
            end = point.end
        }
        guard end == layers else {
            throw refusal("the split points \(text) end at layer \(end), and the model has \(layers) layers", advice: nearest())
        }
        try requireOnce(points.map(\.device), advice: nearest())
    }

    private func requireOnce(_ devices: [DeviceID], advice: @autoclosure () -> String? = nil) throws(ApusError) {
        var seen: Set<DeviceID> = []
        for device in devices where !seen.insert(device).inserted {
            throw refusal("the device \(device) is named twice", advice: advice())
        }
    }

    private func requireKnown(_ named: [DeviceID]) throws(ApusError) {
        let known = devices.map(\.id)
        for device in named where !known.contains(device) {
            throw refusal("there is no device \(device)", advice: "There are \(known.map(\.description).joined(separator: ", "))")
        }
    }

    /// Why a shape is impossible for this model on `count` devices, whatever they hold; nil for one that is not.
    func impossibility(_ shape: PlanShape, devices count: Int) -> String? {
        let widths = model.widths
        if shape.tensor > 1 {
            guard let heads = widths.heads, let columns = widths.feedForward else {
                return "tensor_parallel \(shape.tensor) needs heads and columns to share, and the network of this model is given as one piece"
            }
            if let why = Self.remainder(shape.tensor, heads, "heads") { return why }
            if let keyValueHeads = widths.keyValueHeads, let why = Self.remainder(shape.tensor, keyValueHeads, "heads of keys and values") { return why }
            if let why = Self.remainder(shape.tensor, columns, "feed-forward columns") { return why }
        }
        let layers = model.layers.count
        if shape.pipeline > layers {
            if widths.heads == nil {
                let pieces = "the network can be cut in \(layers - 1) places, into \(layers) stages"
                return "pipeline_parallel \(shape.pipeline) asks for more stages than there are: \(layers > 1 ? pieces : "no tensor alone separates the parts of the network")"
            }
            return "pipeline_parallel \(shape.pipeline) asks for more stages than the model has layers: \(shape.pipeline) > \(layers)"
        }
        guard let needed = shape.deviceCount, needed <= count else {
            let sum = shape.deviceCount.map(String.init) ?? "more than can be counted"
            return "replicas \(shape.replicas) x pipeline_parallel \(shape.pipeline) x tensor_parallel \(shape.tensor) = \(sum) devices, and there are \(count)"
        }
        return nil
    }

    /// Why `ranks` do not divide `count` things; nil when they do.
    private static func remainder(_ ranks: Int, _ count: Int, _ what: String) -> String? {
        let (quotient, rest) = count.quotientAndRemainder(dividingBy: ranks)
        return rest == 0 ? nil : "tensor_parallel \(ranks) does not divide \(count) \(what): \(count) = \(ranks) x \(quotient) + \(rest)"
    }
}
