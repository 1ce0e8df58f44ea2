package import ApusExecution

extension GroupExecutor {
    package var group: GroupShape? {
        // Its members are those of a shape that was not refused.
        try? GroupShape(devices.map { $0.map { GroupShape.Member($0) } })
    }
}
