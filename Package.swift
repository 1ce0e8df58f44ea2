// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: dependencies, resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "apus",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        room("ApusErrors"),
        room("ApusTensor"),
        room("ApusExecution", ["ApusErrors", "ApusTensor"]),
        .target(name: "COnnxRuntime"),
        room("ApusORT", ["ApusErrors", "ApusTensor", "COnnxRuntime", .product(name: "Logging", package: "swift-log")]),
        room("ApusRuntime", ["ApusErrors", "ApusTensor", "ApusExecution", "ApusORT"]),
    ]
)
