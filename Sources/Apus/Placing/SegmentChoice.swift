package import ApusDevices
package import ApusExecution
import ApusGraph
import ApusScheduling
import ApusTensor

/// How a model is cut on one device, and the memory that it takes there.
package struct SegmentChoice: Sendable, Equatable {
    /// nil for a network that runs whole.
    package let segmentation: Segmentation?
    /// Tokens of a batch, where they are others than those of whole networks.
    package let tokenBudget: Int?
    package let needs: [MemoryLedger.Purpose: Int]

    package init(_ segmentation: Segmentation? = nil, tokenBudget: Int? = nil, needs: [MemoryLedger.Purpose: Int]) {
        self.segmentation = segmentation
        self.tokenBudget = tokenBudget
        self.needs = needs
    }

    /// Bytes in all.
    package var bytes: Int {
        needs.values.reduce(0) { sum, bytes in
            let (total, overflow) = sum.addingReportingOverflow(bytes)
            return overflow ? .max : total
        }
    }

    /// `whole`, `3 segments`, `4 segments, one of them in memory at a time`.
    package var words: String { segmentation?.words ?? "whole" }
}

extension Segmentation {
    /// What people are told.
    package var words: String {
        let segments = count == 1 ? "1 segment" : "\(count) segments"
        return switch residency {
        case .resident: "\(segments) in chunks of \(chunkTokens) tokens"
        case .offloaded: "\(segments), one of them in memory at a time"
        case .prefetched: "\(segments), two of them in memory at a time"
        }
    }

    /// Tells apart what is measured of a model: behind ``ServedForm/label``.
    var label: String { "-\(residency.rawValue)\(count)x\(chunkTokens)" }
}

extension ModelMemory {
    /// Batches of an offloaded model are this many times as large as others, because all its weights are read for each of them; where even the
    /// states of so many tokens do not fit, they are as large as others.
    private static let offloadedBatches = [8, 1]
    /// Segments of a model that is to be offloaded although it fits.
    private static let usualSegments = 4

    /// How the model is to be cut where `free` bytes are free. What does not fit at all is told as it is, for the ledger to refuse.
    ///
    /// In the order of preference: whole; whole in chunks, or in the segments that were asked for; read two segments at a time, one at a
    /// time.
    func choice(_ request: SegmentRequest, as form: ServedForm, on device: DeviceID, lanes: Int, free: Int) -> SegmentChoice {
        let whole = SegmentChoice(needs: needs(as: form, on: device, lanes: lanes))
        guard form.form != nil, !layers.isEmpty else { return whole }
        let offload = request.offload(on: device)
        let asked = request.segments.map { min($0, layers.count) }
        if offload != .always {
            if asked ?? 1 == 1, whole.bytes <= free { return whole }
            if asked != 1 {
                let resident = resident(asked ?? 1, form, device, lanes)
                if resident.bytes <= free || offload == .never && asked != nil { return resident }
            }
            if offload == .never { return whole }
        }
        let least = asked ?? (offload == .always ? min(Self.usualSegments, layers.count) : 1)
        var smallest = whole
        for count in least...max(least, asked ?? layers.count) {
            for batches in Self.offloadedBatches {
                for residency in [Segmentation.Residency.prefetched, .offloaded] {
                    let choice = offloaded(count, residency, form, device, lanes, batches: batches)
                    if choice.bytes <= free { return choice }
                    if choice.bytes < smallest.bytes { smallest = choice }
                }
            }
        }
        return smallest
    }

    private func resident(_ count: Int, _ form: ServedForm, _ device: DeviceID, _ lanes: Int) -> SegmentChoice {
        segmented(count, .resident, form, device, lanes, batch: batchTokens(on: device), states: chunkTokens(on: device) * lanes)
    }

    private func offloaded(
        _ count: Int, _ residency: Segmentation.Residency, _ form: ServedForm, _ device: DeviceID, _ lanes: Int, batches: Int
    ) -> SegmentChoice {
        let budget = tokenBudget ?? device.kind.tokenBudget.multipliedClamping(by: batches * max(1, lanes))
        let batch = max(budget, maxTokens)
        return segmented(count, residency, form, device, lanes, batch: batch, states: batch)
    }

    /// - Parameters:
    ///   - batch: tokens of a batch.
    ///   - states: tokens whose hidden states are kept between segments.
    private func segmented(
        _ count: Int, _ residency: Segmentation.Residency, _ form: ServedForm, _ device: DeviceID, _ lanes: Int, batch: Int, states: Int
    ) -> SegmentChoice {
        let chunk = chunkTokens(on: device)
        let whole = needs(as: form, on: device, lanes: lanes, batch: max(chunk, maxTokens))
        var needs = whole
        if let loaded = residency.loadedSegments, let weights = whole[.weights], self.weights > 0 {
            let heaviest = EncoderSegments.cut(layers, into: count).map { layers[$0].reduce(0, +) }.sorted().suffix(loaded).reduce(0, +)
            needs[.weights] = Int(clamping: Int64((Double(weights) * min(1, Double(heaviest) / Double(self.weights))).rounded(.up)))
        }
        // What goes into a segment and what comes out of it, in fp32.
        let kept = Double(2 * MemoryLayout<Float>.stride * hidden) * Double(states)
        needs[.arena] = (needs[.arena] ?? 0).addingClamping(Int(exactly: kept.rounded()) ?? .max)
        // The engine's tables grow with the layers that it holds.
        needs[.context] = (needs[.context] ?? 0) / count * min(count, residency.loadedSegments ?? count)
        guard let segmentation = try? Segmentation(count: count, residency: residency, chunkTokens: chunk) else {
            return SegmentChoice(needs: whole)
        }
        return SegmentChoice(segmentation, tokenBudget: residency == .resident ? nil : batch, needs: needs)
    }
}

extension Int {
    fileprivate func addingClamping(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    fileprivate func multipliedClamping(by other: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? .max : product
    }
}
