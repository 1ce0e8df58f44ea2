import Apus
import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusJSON
import ApusTensor

/// The forms that were weighed for each model on each device, and which was taken.
struct PrecisionTable {
    struct Row {
        let model: String
        let device: DeviceID
        let choice: Result<PrecisionChoice, ApusError>
        /// How the model is cut there; nil where no form was chosen, or what the device has left does not suffice.
        let segments: Result<SegmentChoice, ApusError>?
    }

    private(set) var rows: [Row] = []

    /// Measures what is not known. Throws what reading a model throws.
    static func measure(_ setup: ServeSetup, _ installation: Installation) async throws(ApusError) -> PrecisionTable {
        let trials = PrecisionTrials(
            installation: installation, engineLibrary: try installation.engineLibrary(), execution: setup.execution,
            optimization: setup.settings.optimization.level)
        var table = PrecisionTable()
        let memory = DeviceMemoryBook(setup.planned.fleet)
        for model in setup.models {
            guard let subject = try PrecisionSubject(ofNetworkIn: model.directory) else { continue }
            let assigned = setup.planned.assignments[model.id]
            for member in setup.planned.fleet.members {
                let device = member.settings.device
                guard member.role != .intended || assigned == nil || assigned == device else { continue }
                let choice: Result<PrecisionChoice, ApusError>
                do throws(ApusError) {
                    choice = .success(try await trials.choice(for: subject, on: member, model.precision))
                } catch {
                    choice = .failure(error)
                }
                var segments: Result<SegmentChoice, ApusError>?
                if case .success(let choice) = choice {
                    segments = Result { () throws(ApusError) in
                        try memory.admit(subject, model.id, model.segments, model.batching, maxTokens: model.maxTokens, as: choice, on: device)
                    }
                }
                table.rows.append(Row(model: model.id, device: device, choice: choice, segments: segments))
            }
        }
        return table
    }

    var text: String {
        rows.map { row in
            switch row.choice {
            case .failure(let error): return Paragraph("\(error)", first: "\(row.model) on \(row.device): ").text
            case .success(let choice):
                let head = Paragraph("\(choice.form): \(choice.reason)", first: "\(row.model) on \(row.device): ").text
                let cut = row.segments.map { Paragraph($0.words, first: "  memory: ").text } ?? ""
                guard !choice.candidates.isEmpty else { return head + cut }
                let cells = choice.candidates.map { candidate -> [String] in
                    let taken = candidate.form == choice.form ? "taken" : ""
                    switch candidate.outcome {
                    case .failed(let reason): return [candidate.form.description, Figures.unknown, Figures.unknown, Figures.unknown, "cannot run: \(reason)"]
                    case .measured(let figures):
                        let speeds = [figures.shortTokensPerSecond, figures.longTokensPerSecond].map { $0.map { Figures.number($0) } ?? Figures.unknown }
                        let isBelow = figures.cosine < choice.floor
                        return [candidate.form.description, CosineText.of(figures.cosine)] + speeds + [isBelow ? "below \(choice.floor)" : taken]
                    }
                }
                return head + cut + TextTable(["FORM", "COSINE", "SHORT TOKENS/S", "LONG TOKENS/S", ""], cells, shortened: 4).text
            }
        }.joined()
    }

    func write(to writer: inout JSONWriter) {
        writer.key("precisions")
        writer.beginArray()
        for row in rows {
            writer.beginObject()
            writer.member("model", row.model)
            writer.member("device", row.device.description)
            switch row.choice {
            case .failure(let error): writer.member("error", error.description)
            case .success(let choice):
                writer.member("form", choice.form.description)
                writer.member("precision", choice.form.precision.rawValue)
                writer.key("cosine_floor")
                writer.number(choice.floor)
                writer.member("reason", choice.reason)
                switch row.segments {
                case .success(let cut)?:
                    writer.member("segments", cut.segmentation?.count ?? 1)
                    writer.member("residency", cut.segmentation?.residency.rawValue ?? "resident")
                    writer.member("memory_bytes", cut.bytes)
                case .failure(let error)?: writer.member("memory_error", error.description)
                case nil: break
                }
                writer.key("candidates")
                writer.beginArray()
                for candidate in choice.candidates { candidate.write(to: &writer) }
                writer.endArray()
            }
            writer.endObject()
        }
        writer.endArray()
    }
}

extension Result where Success == SegmentChoice, Failure == ApusError {
    /// `whole, 212 MiB`, or why not.
    fileprivate var words: String {
        switch self {
        case .success(let choice): "\(choice.words), \(choice.bytes >> 20) MiB estimated"
        case .failure(let error): "\(error)"
        }
    }
}
