import Apus
import Foundation
import Testing

final class GPUSearchTests {
    private let root = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)").path

    deinit {
        try? FileManager.default.removeItem(atPath: root)
    }

    /// A root with these files, each with its text.
    private func search(_ files: [String: String], environment: [String: String] = [:]) throws -> GPUSearch {
        for (path, text) in files {
            let file = URL(fileURLWithPath: root + path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        return GPUSearch(executable: "/nowhere", environment: environment, root: root)
    }

    @Test func `without a sign of a driver no process is started`() async throws {
        let empty = try search(["/sys/bus/pci/devices/0000:00:01.0/vendor": "0x8086\n", "/dev/null": ""])
        #expect(!empty.mayHaveDriver)
        let finding = await empty.run()
        #expect(finding.gpus.isEmpty && finding.absence == "this machine has no NVIDIA driver" && finding.notes.isEmpty)
    }

    @Test(arguments: [
        ["/dev/nvidiactl": ""], ["/proc/driver/nvidia/version": ""], ["/dev/dxg": ""],
        ["/sys/bus/pci/devices/0000:00:01.0/vendor": "0x8086\n", "/sys/bus/pci/devices/0000:3b:00.0/vendor": "0x10de\n"],
    ])
    func `any sign of a driver is looked into`(_ files: [String: String]) throws {
        #expect(try search(files).mayHaveDriver)
    }

    @Test func `a search that cannot be made is told as absence with the reason`() async throws {
        let finding = await (try search([:], environment: ["APUS_NVML": "/nowhere/libnvidia-ml.so"])).run()
        #expect(finding.gpus.isEmpty)
        #expect(finding.absence?.isEmpty == false && finding.notes.count == 1)
    }
}
