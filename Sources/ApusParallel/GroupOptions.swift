import Dispatch

/// How a group works.
package struct GroupOptions: Sendable {
    /// Steps under way at the same time; nil for ``GroupExecutor/lanes(stages:)``.
    package var lanes: Int?
    /// How long a rank waits for the others of its stage where they add up what they have computed. A last resort: a rank that fails wakes the
    /// others at once.
    package var sumTimeout: Duration
    /// Nanoseconds on a clock that never goes back, by which work is measured.
    package var now: @Sendable () -> Int
    /// Called once, when the first device of the group has ended, from a thread that must not be blocked. The group runs nothing from then on.
    package var onFailure: @Sendable (GroupFailure) -> Void

    package init(
        lanes: Int? = nil, sumTimeout: Duration = .seconds(20),
        now: @escaping @Sendable () -> Int = { Int(clamping: DispatchTime.now().uptimeNanoseconds) },
        onFailure: @escaping @Sendable (GroupFailure) -> Void = { _ in }
    ) {
        self.lanes = lanes
        self.sumTimeout = sumTimeout
        self.now = now
        self.onFailure = onFailure
    }
}
