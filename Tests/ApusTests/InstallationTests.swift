import Apus
import Foundation
import Testing

@Suite struct InstallationTests {
    private let root = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)").path

    private func make(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: "\(root)/\(path)", withIntermediateDirectories: true)
    }

    @Test func foldersAreLookedUpInTheDocumentedOrder() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        for folder in ["flag", "home", "a/bin", "a/.apus", "data/apus"] { try make(folder) }
        let installation = Installation(
            home: "\(root)/flag", environment: ["APUS_HOME": "\(root)/home", "XDG_DATA_HOME": "\(root)/data"],
            executable: "\(root)/a/bin/apus")
        #expect(installation.homes.prefix(3) == ["\(root)/flag", "\(root)/home", "\(root)/a/.apus"])
        #expect(installation.homes.last == "\(root)/data/apus")
    }

    @Test func modelsAreFoundByNameOrPath() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try make("home/models/tiny")
        let installation = Installation(environment: ["APUS_HOME": "\(root)/home"], executable: nil)
        #expect(try installation.modelDirectory("tiny") == "\(root)/home/models/tiny")
        #expect(try installation.modelDirectory("\(root)/home/models/tiny") == "\(root)/home/models/tiny")
        #expect(installation.installedModels().map(\.name) == ["tiny"])
        for name in ["", "other", "../home", "\(root)/nothing"] {
            #expect { try installation.modelDirectory(name) } throws: { ($0 as? ApusError)?.code == .modelNotFound }
        }
    }

    @Test func aMissingEngineNamesTheCommandThatInstallsIt() {
        let installation = Installation(environment: [:], executable: nil)
        #expect { try installation.engineLibrary() } throws: { error in
            let error = error as? ApusError
            return error?.code == .engineMissing && error?.advice?.contains("make setup") == true
        }
    }

    @Test func anEngineNamedOutrightWins() throws {
        let installation = Installation(environment: ["APUS_ENGINE": "/somewhere/libonnxruntime.so"], executable: nil)
        #expect(try installation.engineLibrary() == "/somewhere/libonnxruntime.so")
    }
}
