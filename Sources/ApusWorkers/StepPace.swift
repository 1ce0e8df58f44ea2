package import ApusExecution

/// What is known of how long a model's steps take, from which their deadlines follow.
///
/// Two moving paces, of which the larger expectation counts: seconds for each element (products with weights), and seconds for each element
/// times the longest dimension (attention is quadratic).
package struct StepPace: Sendable {
    /// How large a step is.
    package struct Size: Equatable, Sendable {
        /// Elements of all inputs.
        package var elements: Double
        /// The longest dimension of any input.
        package var longest: Double

        package init(_ inputs: [HostTensor]) {
            elements = 1
            longest = 1
            for input in inputs {
                elements += Double(input.count)
                longest = input.shape.reduce(longest) { max($0, Double($1)) }
            }
        }
    }

    private var linear: Double?
    private var quadratic: Double?

    /// The part of a new measurement in the moving pace.
    private static let weight = 0.125
    /// The shortest deadline, and how often the expected time a step may take.
    private static let floorSeconds = 2.0
    private static let allowance = 3.0

    package init() {}

    package mutating func learn(_ size: Size, seconds: Double) {
        linear = Self.moved(linear, seconds / size.elements)
        quadratic = Self.moved(quadratic, seconds / (size.elements * size.longest))
    }

    /// Nil before anything was learned.
    package func expectedSeconds(_ size: Size) -> Double? {
        guard let linear, let quadratic else { return nil }
        return max(linear * size.elements, quadratic * size.elements * size.longest)
    }

    /// Seconds after which a step of this size counts as hung.
    package func deadlineSeconds(_ size: Size, first: Duration) -> Double {
        guard let expected = expectedSeconds(size) else { return Double(first.nanoseconds) / 1e9 }
        return max(Self.floorSeconds, Self.allowance * expected)
    }

    private static func moved(_ pace: Double?, _ measured: Double) -> Double {
        guard let pace else { return measured }
        return pace + weight * (measured - pace)
    }
}
