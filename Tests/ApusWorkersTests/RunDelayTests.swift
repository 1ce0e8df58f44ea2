import ApusWorkers
import Foundation
import Testing

@Suite("The time in which a worker waits for processors")
struct RunDelayTests {
    private static let second: Int64 = 1_000_000_000

    /// A folder as /proc has one for each process.
    private final class Threads {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-threads-\(UUID().uuidString)").path

        func set(_ thread: Int, _ schedstat: String) throws {
            try FileManager.default.createDirectory(atPath: "\(path)/\(thread)", withIntermediateDirectories: true)
            try schedstat.write(toFile: "\(path)/\(thread)/schedstat", atomically: true, encoding: .utf8)
        }

        func end(_ thread: Int) throws { try FileManager.default.removeItem(atPath: "\(path)/\(thread)") }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    @Test("Waits of all threads are added up from one look to the next, those of threads that began meanwhile too")
    func sums() throws {
        let threads = Threads()
        try threads.set(1, "5000000000 300000000 7\n")
        try threads.set(2, "1 0 1\n")
        var delay = RunDelay(folder: threads.path, now: 0)
        try threads.set(1, "5000000000 400000000 8\n")
        try threads.set(2, "1 50000000 1\n")
        try threads.set(3, "1 7 1\n")
        #expect(delay.grown(at: Self.second) == 150_000_007)
        #expect(delay.grown(at: 2 * Self.second) == 0)
        try threads.end(1)
        try threads.set(2, "1 50000001 1\n")
        #expect(delay.grown(at: 3 * Self.second) == 1)
    }

    @Test("At most nine tenths of the time are taken back, whatever the threads say")
    func cap() throws {
        let threads = Threads()
        for thread in 1...40 { try threads.set(thread, "0 0 0\n") }
        var delay = RunDelay(folder: threads.path, now: 0)
        for thread in 1...40 { try threads.set(thread, "0 \(Int64.max) 0\n") }
        #expect(delay.grown(at: Self.second) == 900_000_000)
    }

    @Test("Looks that follow at once keep what they see for the next")
    func spans() throws {
        let threads = Threads()
        try threads.set(1, "0 0 0\n")
        var delay = RunDelay(folder: threads.path, now: 0)
        try threads.set(1, "0 90 0\n")
        #expect(delay.grown(at: Self.second / 10) == 0)
        #expect(delay.grown(at: Self.second) == 90)
    }

    @Test("Where nothing is counted nothing is taken back", arguments: ["", "12", "1 x 1", "1 -5 1", "1 99999999999999999999 1"])
    func unreadable(content: String) throws {
        var delay = RunDelay(folder: "/no/such/folder", now: 0)
        #expect(delay.grown(at: Self.second) == 0)
        let threads = Threads()
        try threads.set(1, "0 0 0\n")
        var odd = RunDelay(folder: threads.path, now: 0)
        try threads.set(1, content)
        #expect(odd.grown(at: Self.second) == 0)
    }
}
