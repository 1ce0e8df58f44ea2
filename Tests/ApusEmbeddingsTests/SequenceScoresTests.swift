import ApusCheckpoint
import ApusEmbeddings
import Testing

struct SequenceScoresTests {
    private func scores(_ scoring: SequenceClassifier.Scoring, _ logits: [Float]) -> [Float] {
        SequenceClassifier(task: .classify, labels: logits.map { "\($0)" }, scoring: scoring).scores(of: logits)
    }

    @Test func `a softmax sums to 1 whatever the size of the logits`() {
        for logits: [Float] in [[0, 0], [1, 2, 3], [1e30, -1e30], [-1e30, -1e30, -1e30], [88.8, 90, -200], [700, 710]] {
            let scores = scores(.softmax, logits)
            #expect(abs(scores.reduce(0, +) - 1) < 1e-6 && scores.allSatisfy { (0...1).contains($0) })
        }
        let three = scores(.softmax, [1, 2, 3])
        for (score, expected) in zip(three, [0.09003057, 0.24472848, 0.66524094] as [Float]) { #expect(abs(score - expected) < 1e-7) }
    }

    @Test(arguments: [
        (.sigmoid, 2, 0.880797), (.sigmoid, -200, 0), (.sigmoid, 200, 1), (.identity, -3.5, -3.5), (.tanh, 0.5, 0.46211716), (.relu, -1, 0),
        (.relu, 2, 2), (.silu, 1, 0.7310586), (.gelu, 1, 0.8413447), (.geluTanh, 1, 0.841192),
    ] as [(Activation, Float, Float)])
    func `each label has its own score`(_ row: (activation: Activation, logit: Float, score: Float)) {
        let scores = scores(.each(row.activation), [row.logit, row.logit])
        #expect(scores.count == 2 && scores[0] == scores[1] && abs(scores[0] - row.score) < 1e-6)
    }
}
