import NIOCore

// One scheduled task for a connection rather than one for each phase: a request that arrives in one packet then schedules and cancels
// nothing. The task fires at the earliest deadline it was ever given and looks whether that still holds.
extension ConnectionHandler {
    func setDeadline(_ duration: Duration) {
        deadline = .now() + TimeAmount(duration)
    }

    func armTimer() {
        guard let context, let deadline else { return }
        if let timer {
            if timer.due <= deadline { return }
            timer.scheduled.cancel()
        }
        let scheduled = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.timerFired() }
        timer = (scheduled, deadline)
    }

    private func timerFired() {
        timer = nil
        guard let deadline else { return }
        guard deadline <= .now() else {
            armTimer()
            return
        }
        self.deadline = nil
        if let error = intake.timeout {
            refuse(error)
        } else {
            context?.close(promise: nil)
        }
    }
}
