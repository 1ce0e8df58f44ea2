import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor
import ApusTokenizers

/// Texts of a file as the batches of a model.
struct Workload: Sendable {
    let directory: String
    let layers: Int
    let conventions: EncoderConventions
    let sequences: [EncoderBatch.Sequence]

    init(model directory: String, texts: [String]) throws {
        let checkpoint = try Checkpoint(directory: directory)
        guard case .encoder(let configuration, _) = checkpoint.source else {
            throw ApusError(.unsupportedModel, "only checkpoints whose network Apus writes are measured", place: directory)
        }
        let tokenizer = try Tokenizer(contentsOf: checkpoint.tokenizerPath)
        self.directory = directory
        layers = configuration.layers
        conventions = EncoderGraph.conventions(configuration)
        sequences = texts.map { text in
            let encoding = tokenizer.encode(text).truncated(to: checkpoint.maxTokens)
            return EncoderBatch.Sequence(ids: encoding.ids, typeIDs: encoding.typeIDs)
        }
    }

    /// Batches of so many tokens at most, of sequences of like length, as the scheduler makes them. Each with the places of its sequences.
    func batches(tokens budget: Int) -> [(places: [Int], batch: EncoderBatch)] {
        var batches: [(places: [Int], batch: EncoderBatch)] = []
        var (places, tokens): ([Int], Int) = ([], 0)
        func close() {
            if !places.isEmpty { batches.append((places, EncoderBatch(places.map { sequences[$0] }))) }
            (places, tokens) = ([], 0)
        }
        for place in sequences.indices.sorted(by: { (sequences[$0].ids.count, $0) < (sequences[$1].ids.count, $1) }) {
            if tokens + sequences[place].ids.count > budget { close() }
            places.append(place)
            tokens += sequences[place].ids.count
        }
        close()
        return batches
    }

    func request(_ form: NetworkForm, stages: [Range<Int>] = []) -> LoadRequest {
        LoadRequest(name: "model", source: .checkpoint(directory: directory, .network(form)), stages: stages)
    }
}
