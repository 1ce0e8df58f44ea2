import ApusErrors
import ApusJSON

/// What a sequence classifier answers: one logit for each label, and how scores are made of them.
package struct SequenceClassifier: Sendable, Hashable {
    /// What turns a row of logits into scores.
    package enum Scoring: Sendable, Hashable {
        /// Scores of all labels sum to 1.
        case softmax
        /// Each label has a score of its own.
        case each(Activation)
    }

    /// ``ModelTask/rerank`` or ``ModelTask/classify``.
    package let task: ModelTask
    /// The names of the logits, in their order; at least one.
    package let labels: [String]
    package let scoring: Scoring

    package init(task: ModelTask, labels: [String], scoring: Scoring) {
        self.task = task
        self.labels = labels
        self.scoring = scoring
    }
}

extension SequenceClassifier {
    private static let mostLabels = 1 << 16
    private static let ending = "ForSequenceClassification"

    /// Whether the first of config.json's `architectures` is a sequence classifier.
    static func isDescribed(by configuration: JSONReader) throws(ApusError) -> Bool {
        guard let first = try configuration.optionalArray("architectures")?.first else { return false }
        return try first.stringValue(at: configuration.place(of: "architectures"), code: .invalidCheckpoint).hasSuffix(ending)
    }

    /// Reads the labels and the scoring from config.json and, for a cross-encoder, from config_sentence_transformers.json.
    ///
    /// A cross-encoder's activation is followed where it says one. Otherwise one label has a sigmoid, as in CrossEncoder and transformers'
    /// pipeline, and several have what the pipeline gives them: nothing for a regression, sigmoids for `multi_label_classification`, else
    /// a softmax. Identity for several labels is what CrossEncoder writes where nobody chose anything, and decides nothing here.
    ///
    /// - Throws: `.invalidCheckpoint` for labels that contradict each other, `.unsupportedModel` for an activation that is not known.
    init(_ configuration: JSONReader, crossEncoder: JSONReader?) throws(ApusError) {
        labels = try Self.labels(configuration)
        let problem = try configuration.optionalString("problem_type")
        if let problem, Problem(rawValue: problem) == nil {
            throw ApusError(
                .invalidCheckpoint, "there is no problem type \(problem.debugDescription)", place: configuration.place(of: "problem_type"))
        }
        let kind = problem.flatMap(Problem.init)
        task = labels.count == 1 && kind != .severalLabels ? .rerank : .classify
        let stated = try Self.stated(configuration, crossEncoder)
        if let stated, labels.count == 1 || stated != .each(.identity) {
            scoring = stated
            return
        }
        switch (kind, labels.count) {
        case (.severalLabels, _), (_, 1): scoring = .each(.sigmoid)
        case (.regression, _): scoring = .each(.identity)
        case (.oneLabel, _), (nil, _): scoring = .softmax
        }
    }

    private enum Problem: String {
        case regression
        case oneLabel = "single_label_classification"
        case severalLabels = "multi_label_classification"
    }

    private static func labels(_ reader: JSONReader) throws(ApusError) -> [String] {
        let stated = try reader.optionalInteger("num_labels")
        guard let map = try reader.optionalReader("id2label") else {
            // The default of transformers' PreTrainedConfig.
            return try (0..<count(stated ?? 2, reader.place(of: "num_labels"))).map { "LABEL_\($0)" }
        }
        let place = reader.place(of: "id2label")
        let count = try count(map.object.entries.count, place)
        if let stated, stated != count {
            throw ApusError(.invalidCheckpoint, "there are \(count) labels, num_labels says \(stated)", place: place)
        }
        var labels: [String] = []
        for index in 0..<count {
            guard let label = try map.optionalString(String(index)) else {
                throw ApusError(.invalidCheckpoint, "label \(index) of \(count) is missing", place: place)
            }
            labels.append(label)
        }
        return labels
    }

    private static func count(_ count: Int, _ place: String) throws(ApusError) -> Int {
        guard (1...mostLabels).contains(count) else {
            throw ApusError(.invalidCheckpoint, "\(count) labels are outside 1 … \(mostLabels)", place: place)
        }
        return count
    }

    /// The activation that a cross-encoder names: in the file of sentence-transformers 6, and in config.json as 4 and 5 and as older ones wrote it.
    private static func stated(_ configuration: JSONReader, _ crossEncoder: JSONReader?) throws(ApusError) -> Scoring? {
        if let crossEncoder, let found = try scoring(crossEncoder, "activation_fn") { return found }
        if let section = try configuration.optionalReader("sentence_transformers"), let found = try scoring(section, "activation_fn") {
            return found
        }
        return try scoring(configuration, "sbert_ce_default_activation_function")
    }

    private static func scoring(_ reader: JSONReader, _ key: String) throws(ApusError) -> Scoring? {
        guard let name = try reader.optionalString(key) else { return nil }
        if name.hasPrefix("torch.nn."), name.hasSuffix(".Softmax") { return .softmax }
        guard let activation = Activation(torchClass: name) else {
            throw ApusError(.unsupportedModel, "activation \(name.debugDescription) is not supported", place: reader.place(of: key))
        }
        return .each(activation)
    }
}
