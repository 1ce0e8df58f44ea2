// Measures one thread of tokenising: TokenizerBenchmark TOKENIZER_JSON CORPUS_TXT [PASSES]
// Every line of the corpus is one text. Prints one JSON line: the median over the passes, and the tokens of one pass as
// a check that the peer did the same work.

import ApusErrors
import ApusTokenizers
import Foundation

func run() throws {
    let arguments = CommandLine.arguments
    guard arguments.count >= 3 else {
        throw ApusError(.invalidValue, "usage: TokenizerBenchmark TOKENIZER_JSON CORPUS_TXT [PASSES]")
    }
    let passes = max(arguments.count > 3 ? Int(arguments[3]) ?? 5 : 5, 1)
    let clock = ContinuousClock()
    let loadStart = clock.now
    let tokenizer = try Tokenizer(contentsOf: arguments[1])
    let load = clock.now - loadStart
    let corpus = try String(decoding: Data(contentsOf: URL(fileURLWithPath: arguments[2])), as: UTF8.self)
    let texts = corpus.utf8.split(separator: UInt8(ascii: "\n")).map { String(Substring($0)) }

    var seconds: [Double] = []
    var tokens = 0
    for _ in 0..<passes {
        let start = clock.now
        tokens = 0
        for text in texts { tokens += tokenizer.encode(text).count }
        seconds.append((clock.now - start) / .seconds(1))
    }
    let median = seconds.sorted()[passes / 2]
    print(
        """
        {"load_ms": \(load / .milliseconds(1)), "texts": \(texts.count), "tokens": \(tokens), \
        "texts_per_second": \(Double(texts.count) / median), "tokens_per_second": \(Double(tokens) / median)}
        """)
}

do {
    try run()
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
