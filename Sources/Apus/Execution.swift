/// Where models are computed.
public enum Execution: Sendable, Equatable {
    /// In this process. The least to set up; a crash in the engine ends the program.
    case inProcess
    /// In one process for each device, started from this executable with the argument `worker`: the `apus` program, or one that calls
    /// the same entry. A device that fails takes only its own process down, and is replaced.
    case workers(executable: String)
}
