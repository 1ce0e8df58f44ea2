import Apus
import ApusTensor
import ArgumentParser

/// The flags that choose a classifier. There is no default: none is installed with Apus.
struct ScorerOptions: ParsableArguments {
    @Option(help: "The path of a model directory, or the name of an installed model.")
    var model: String

    @Option(help: "The arithmetic: fp32, bf16, fp16, int8, int4 or auto.")
    var precision: Precision = .auto

    @Option(help: "The lowest agreement with fp32 to compute with, 0 to 1. (default: 0.9999; int8 0.99, int4 0.95 where asked for)")
    var precisionFloor: Double?

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    var installation: Installation { Installation(home: home) }

    func validate() throws {
        if let precisionFloor, !(0...1).contains(precisionFloor) { throw ValidationError("--precision-floor must be from 0 to 1.") }
    }
}
