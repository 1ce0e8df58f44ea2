/// A tiny checkpoint of each family: hidden size 8, two heads, one layer, feed-forward 12, vocabulary 20, 10 positions.
struct TinyModel {
    var type: String
    var prefix = ""
    /// Members of config.json that replace or extend the family's; nil leaves one out.
    var overrides: [String: String?] = [:]

    static let types = ["bert", "roberta", "xlm-roberta", "distilbert", "mpnet"]

    private var members: [String: String] {
        var members = [
            "model_type": "\"\(type)\"", "vocab_size": "20", "max_position_embeddings": "10", "pad_token_id": "1",
        ]
        let names =
            type == "distilbert"
            ? ["dim", "n_heads", "n_layers", "hidden_dim", "activation"]
            : ["hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "hidden_act"]
        for (name, value) in zip(names, ["8", "2", "1", "12", "\"gelu\""]) { members[name] = value }
        if ["bert", "roberta", "xlm-roberta"].contains(type) { members["type_vocab_size"] = "2" }
        if type != "distilbert" { members["layer_norm_eps"] = "1e-5" }
        if type == "mpnet" { members["relative_attention_num_buckets"] = "32" }
        return members
    }

    var config: String {
        var members = members
        for (key, value) in overrides { members[key] = value }
        return "{" + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}"
    }

    /// The tensors that transformers saves for the family, written out name by name.
    var tensors: [TinyTensor] {
        var list: [(String, [Int])] = [
            ("embeddings.word_embeddings.weight", [20, 8]), ("embeddings.position_embeddings.weight", [10, 8]),
            ("embeddings.LayerNorm.weight", [8]), ("embeddings.LayerNorm.bias", [8]),
        ]
        func linear(_ name: String, _ output: Int, _ input: Int) { list += [("\(name).weight", [output, input]), ("\(name).bias", [output])] }
        func norm(_ name: String) { list += [("\(name).weight", [8]), ("\(name).bias", [8])] }
        switch type {
        case "distilbert":
            for name in ["q_lin", "k_lin", "v_lin", "out_lin"] { linear("transformer.layer.0.attention.\(name)", 8, 8) }
            norm("transformer.layer.0.sa_layer_norm")
            linear("transformer.layer.0.ffn.lin1", 12, 8)
            linear("transformer.layer.0.ffn.lin2", 8, 12)
            norm("transformer.layer.0.output_layer_norm")
        case "mpnet":
            list.append(("encoder.relative_attention_bias.weight", [32, 2]))
            for name in ["q", "k", "v", "o"] { linear("encoder.layer.0.attention.attn.\(name)", 8, 8) }
            norm("encoder.layer.0.attention.LayerNorm")
            linear("encoder.layer.0.intermediate.dense", 12, 8)
            linear("encoder.layer.0.output.dense", 8, 12)
            norm("encoder.layer.0.output.LayerNorm")
        default:
            list.append(("embeddings.token_type_embeddings.weight", [2, 8]))
            for name in ["self.query", "self.key", "self.value", "output.dense"] { linear("encoder.layer.0.attention.\(name)", 8, 8) }
            norm("encoder.layer.0.attention.output.LayerNorm")
            linear("encoder.layer.0.intermediate.dense", 12, 8)
            linear("encoder.layer.0.output.dense", 8, 12)
            norm("encoder.layer.0.output.LayerNorm")
            linear("pooler.dense", 8, 8)
        }
        return list.map { TinyTensor(name: prefix + $0.0, shape: $0.1) }
    }

    /// A plain transformers directory.
    func write(to directory: TemporaryDirectory) throws {
        try directory.write("config.json", config)
        try directory.write("tokenizer.json", "{}")
        try directory.write("model.safetensors", TinyWeights.file(tensors))
    }

    /// Adds the sentence-transformers files for `modules`, each a class name and its folder.
    static func writeModules(_ modules: [(type: String, path: String)], to directory: TemporaryDirectory) throws {
        let entries = modules.enumerated().map { index, module in
            #"{"idx":\#(index),"name":"\#(index)","path":"\#(module.path)","type":"\#(module.type)"}"#
        }
        try directory.write("modules.json", "[\(entries.joined(separator: ","))]")
    }
}
