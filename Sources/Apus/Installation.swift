public import ApusErrors
public import Foundation

/// Where the engine, the models and Apus's own data lie on this machine.
///
/// Looked for in this order: the folder given, `APUS_HOME`, `.apus` beside or above the running executable's real path,
/// `apus` in the XDG data folder.
public struct Installation: Sendable {
    /// The folders that exist, first choice first.
    public let homes: [String]
    /// An engine library named outright (`APUS_ENGINE`), ahead of every folder.
    public let engineOverride: String?

    /// The model used when none is named.
    public static let defaultModel = "all-MiniLM-L6-v2"

    public init(
        home: String? = nil,
        environment: [String: String] = ProcessInfo.processInfo.environment,
        executable: String? = Installation.runningExecutable
    ) {
        var candidates: [String] = []
        if let home { candidates.append(home) }
        if let home = environment["APUS_HOME"], !home.isEmpty { candidates.append(home) }
        if let executable {
            var folder = URL(fileURLWithPath: executable).deletingLastPathComponent().standardizedFileURL
            while true {
                candidates.append(folder.appendingPathComponent(".apus").path)
                let parent = folder.deletingLastPathComponent().standardizedFileURL
                guard parent.path != folder.path, folder.path != "/" else { break }
                folder = parent
            }
        }
        if let data = environment["XDG_DATA_HOME"], !data.isEmpty {
            candidates.append("\(data)/apus")
        } else if let user = environment["HOME"], !user.isEmpty {
            candidates.append("\(user)/.local/share/apus")
        }
        homes = candidates.filter { Self.isDirectory($0) }
        engineOverride = environment["APUS_ENGINE"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The engine library. Throws `engine_missing` with the command that installs it.
    public func engineLibrary() throws(ApusError) -> String {
        if let engineOverride { return engineOverride }
        for home in homes {
            let folder = "\(home)/engine/lib"
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            if let name = names.filter(Self.isEngine).max() { return "\(folder)/\(name)" }
        }
        throw ApusError(
            .engineMissing, "ONNX Runtime is not installed",
            place: homes.first.map { "\($0)/engine/lib" },
            advice: "Run `make setup` in the Apus repository, set APUS_HOME to the folder it filled, or name the library in APUS_ENGINE")
    }

    /// The directory of `model`: a path to a directory, or the name of one under `models/` of an installation folder.
    /// Throws `model_not_found`.
    public func modelDirectory(_ model: String) throws(ApusError) -> String {
        if model.contains("/") || model == "." || model == ".." || Self.isDirectory(model) {
            guard Self.isDirectory(model) else {
                throw ApusError(.modelNotFound, "there is no model directory here", place: model)
            }
            return model
        }
        for home in homes where !model.isEmpty {
            let path = "\(home)/models/\(model)"
            if Self.isDirectory(path) { return path }
        }
        let known = installedModels().map(\.name)
        throw ApusError(
            .modelNotFound, "no model of the name '\(model)' is installed",
            advice: known.isEmpty
                ? "Run `make setup` for the default model, or give the path of a model directory"
                : "Installed are \(known.joined(separator: ", ")); a path to a model directory works too")
    }

    /// What requests call the model in `directory` when nobody gave it another name: the folder's own.
    package static func name(ofDirectory directory: String) -> String {
        URL(fileURLWithPath: directory).standardizedFileURL.lastPathComponent
    }

    /// The models under `models/` of every installation folder, by name.
    public func installedModels() -> [(name: String, path: String)] {
        var seen: Set<String> = []
        var models: [(name: String, path: String)] = []
        for home in homes {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(home)/models")) ?? []
            for name in names.sorted() where Self.isDirectory("\(home)/models/\(name)") && seen.insert(name).inserted {
                models.append((name, "\(home)/models/\(name)"))
            }
        }
        return models
    }

    /// Bytes of the weight files in a model's directory, as a first estimate of what it takes of a device.
    package static func weightBytes(_ directory: String) -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.filter { $0.hasSuffix(".safetensors") || $0.hasSuffix(".onnx") || $0.hasSuffix(".onnx_data") }.reduce(0) { sum, name in
            let path = URL(fileURLWithPath: "\(directory)/\(name)").resolvingSymlinksInPath().path
            let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber
            let (total, overflow) = sum.addingReportingOverflow(size?.intValue ?? 0)
            return overflow ? .max : total
        }
    }

    /// A folder for what can be computed again, made when missing; nil when no folder can be written.
    public func cacheDirectory(_ name: String) -> String? {
        for home in homes {
            let path = "\(home)/cache/\(name)"
            if (try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)) != nil,
                FileManager.default.isWritableFile(atPath: path)
            {
                return path
            }
        }
        return nil
    }

    /// The real path of the running program.
    public static var runningExecutable: String? {
        Bundle.main.executablePath.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path }
    }

    private static func isDirectory(_ path: String) -> Bool {
        var directory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &directory) && directory.boolValue
    }

    private static func isEngine(_ name: String) -> Bool {
        name.hasPrefix("libonnxruntime.") && (name.contains(".so") || name.hasSuffix(".dylib"))
    }
}
