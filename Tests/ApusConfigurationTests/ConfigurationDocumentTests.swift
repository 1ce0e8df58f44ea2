import ApusConfiguration
import Foundation
import Testing

struct ConfigurationDocumentTests {
    /// To renew the document after a change of the schema: run the tests with APUS_WRITE_DOCUMENTS=1.
    @Test func `the document lists every setting as the schema has it`() throws {
        let file = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("docs/configuration.md")
        let head = """
            # Settings

            A configuration file is YAML or TOML (`apus serve --config FILE`). Flags go before the environment, the environment before the
            file, the file before defaults. A misspelt, misplaced or impossible setting ends the start with status 78; all of them are told
            at once. Keys are written with dots here and nest in files: `server.port` is `port` in the section `server`.


            """
        if ProcessInfo.processInfo.environment["APUS_WRITE_DOCUMENTS"] == "1" {
            try Data((head + ConfigurationSchema.markdown).utf8).write(to: file)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == head + ConfigurationSchema.markdown)
        #expect(ConfigurationSchema.markdown.contains("`server.port`"))
    }
}
