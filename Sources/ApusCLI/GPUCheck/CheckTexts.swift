/// Built-in texts of 4 to about 200 tokens, all different, for checks on machines that have no corpus.
enum CheckTexts {
    private static let subjects = ["A swift", "The server", "Every worker", "One GPU in the rack", "The operator", "Nobody", "An old model"]
    private static let verbs = ["sleeps on", "answers", "forgets", "replaces", "listens to", "waits for", "computes"]
    private static let objects = ["the wing", "a request", "its neighbour", "the night shift", "eleven batches", "what was asked", "the rain"]
    private static let endings = [
        "because nothing else was left to do", "while the fans grew louder", "and the log said so in one line",
        "although the driver had reported an error an hour before", "as it had done on every day of the year",
    ]

    static func make(_ count: Int) -> [String] {
        (0..<count).map { index in
            var text = sentence(index)
            // Every fourth text is long, with a length of its own.
            if index % 4 == 3 { for more in 1...(2 + index % 11) { text += " " + sentence(index * 31 + more * 7) } }
            return "\(text) (\(index))"
        }
    }

    private static func sentence(_ number: Int) -> String {
        let parts = [
            subjects[number % subjects.count], verbs[(number / 7) % verbs.count], objects[(number / 3) % objects.count],
            endings[(number / 5) % endings.count],
        ]
        return parts.joined(separator: " ") + "."
    }
}
