import Apus
import ApusErrors
import ApusJSON
import ArgumentParser
import Foundation
import Logging

struct ClassifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "classify",
        abstract: "Sort texts under the labels of a model.",
        discussion: """
            The model is a sequence classifier. Texts are the arguments, the lines of a file, or the lines of standard input.
            """)

    @Argument(help: "Texts to classify.")
    var texts: [String] = []

    @Option(help: "A file with one text a line, UTF-8. - is standard input.")
    var file: String?

    @Flag(help: "Each text is two, parted by a tab, which the model reads together.")
    var pairs = false

    @Flag(help: "Print JSON, one line for each text, with the scores of all labels.")
    var json = false

    @OptionGroup var scorer: ScorerOptions

    func validate() throws {
        guard texts.isEmpty || file == nil else { throw ValidationError("Give texts or --file, not both.") }
        guard !texts.isEmpty || file != nil || !Terminal.inputIsKeyboard else {
            throw ValidationError("Give texts, --file, or lines on standard input.")
        }
    }

    func run() async throws {
        // Standard error is for the one line that says why the command failed.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        let texts = try self.texts.isEmpty ? TextLines.read(file ?? "-") : self.texts
        let parted = try pairs ? texts.enumerated().map(Self.pair) : []
        let classifier = try await Classifier.load(
            scorer.model, precision: scorer.precision, precisionFloor: scorer.precisionFloor, installation: scorer.installation)
        let answers = try await pairs ? classifier.classify(pairs: parted) : classifier.classify(texts)
        if json {
            for (index, answer) in answers.enumerated() { try Terminal.standardOutput(Self.line(index, answer)) }
        } else {
            let rows = zip(answers, texts).map { [$0.label, Figures.score($0.score), TextTable.cell($1)] }
            try Terminal.standardOutput(TextTable(["LABEL", "SCORE", "TEXT"], rows, shortened: 2).text)
        }
    }

    private static func pair(_ index: Int, _ text: String) throws(ApusError) -> (String, String) {
        let parts = text.components(separatedBy: "\t")
        guard parts.count == 2 else {
            throw ApusError(.invalidValue, "text \(index + 1) is \(parts.count) texts parted by tabs, --pairs wants two")
        }
        return (parts[0], parts[1])
    }

    private static func line(_ index: Int, _ answer: Classification) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("index", index)
        writer.member("label", answer.label)
        writer.key("score")
        writer.number(answer.score)
        writer.key("scores")
        writer.beginArray()
        for (label, score) in zip(answer.labels, answer.scores) {
            writer.beginObject()
            writer.member("label", label)
            writer.key("score")
            writer.number(score)
            writer.endObject()
        }
        writer.endArray()
        writer.member("tokens", answer.tokens)
        writer.member("truncated", answer.truncated)
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }
}
