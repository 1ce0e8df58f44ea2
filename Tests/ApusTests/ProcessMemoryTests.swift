import Apus
import Foundation
import Testing

@Suite struct ProcessMemoryTests {
    @Test func `The proportional size is read from the line that has it`() {
        let rollup = """
            55d0a1b2c000-7ffd3f3f2000 ---p 00000000 00:00 0                          [rollup]
            Rss:              120000 kB
            Pss:              104448 kB
            Pss_Anon:          77000 kB
            """
        #expect(ProcessMemory.proportionalBytes(rollup: rollup) == 104_448 * 1024)
    }

    @Test(arguments: ["", "Pss:", "Pss: many kB", "Pss_Anon: 5 kB", "Pss: 9223372036854775807 kB"])
    func `What does not tell a size has none`(rollup: String) {
        #expect(ProcessMemory.proportionalBytes(rollup: rollup) == nil)
    }

    @Test func `This process takes memory, and one that is not there takes none`() throws {
        guard FileManager.default.fileExists(atPath: "/proc/self/smaps_rollup") else { return }
        #expect(try #require(ProcessMemory.proportionalBytes(of: ProcessInfo.processInfo.processIdentifier)) > 1 << 20)
        #expect(ProcessMemory.proportionalBytes(of: -1) == nil)
    }
}
