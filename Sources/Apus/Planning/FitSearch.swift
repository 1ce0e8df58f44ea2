package import ApusErrors
import ApusExecution

/// The search for the largest batch that fits on a device: doubles from one input until a batch is too large, then bisects. Pure.
package struct FitSearch: Sendable, Equatable {
    /// Inputs of the largest batch that fitted; nil while none did.
    package private(set) var largest: Int?
    /// Bytes that it was computed in.
    package private(set) var bytes = 0
    /// Inputs of the smallest batch that did not fit; nil while all did.
    package private(set) var tooLarge: Int?
    private let most: Int
    private let limitBytes: Int?

    /// The part of the largest batch by which the answer may be too small: closer ones are not worth a run each.
    private static let tolerance = 16

    /// - Parameters:
    ///   - most: inputs beyond which nothing is tried, 1 or more.
    ///   - limitBytes: what a batch may take. Batches that are expected to take more count as too large without being tried, so that memory that
    ///     is shared with others is never driven to its end; nil asks the device alone.
    package init(most: Int, limitBytes: Int? = nil) {
        self.most = max(1, most)
        self.limitBytes = limitBytes
    }

    /// Inputs of the batch to try next; nil when the search is over.
    package mutating func next() -> Int? {
        while let size = candidate {
            guard let limitBytes, expectedBytes(size) > Double(limitBytes) else { return size }
            tooLarge = size
        }
        return nil
    }

    package mutating func fitted(_ size: Int, bytes: Int) {
        if let limitBytes, bytes > limitBytes { return failed(size) }
        largest = max(largest ?? 0, size)
        self.bytes = bytes
    }

    package mutating func failed(_ size: Int) {
        tooLarge = min(tooLarge ?? size, size)
    }

    private var candidate: Int? {
        let low = largest ?? 0
        guard let tooLarge else {
            guard low < most else { return nil }
            let (double, overflow) = low.multipliedReportingOverflow(by: 2)
            return overflow ? most : min(max(1, double), most)
        }
        guard tooLarge - low > max(1, low / Self.tolerance) else { return nil }
        return low + (tooLarge - low) / 2
    }

    /// In proportion to the largest batch so far, which errs on the side of more: what does not grow with the batch is scaled, too.
    private func expectedBytes(_ size: Int) -> Double {
        guard let largest, largest > 0 else { return 0 }
        return Double(bytes) * Double(size) / Double(largest)
    }

    /// Searches with `attempt`, which runs a batch of so many inputs, in an executor of its own, and returns the bytes that it took. Throws what
    /// `attempt` throws unless that says the batch was too large: `out_of_memory`, or a worker that somebody killed, which is what systems do
    /// that have no memory left.
    package mutating func run(_ attempt: (Int) async throws(ApusError) -> Int) async throws(ApusError) {
        while let size = next() {
            do throws(ApusError) {
                fitted(size, bytes: try await attempt(size))
            } catch {
                guard error.deviceFailure == .outOfMemory || error.deviceFailure == .killed else { throw error }
                failed(size)
            }
        }
    }
}
