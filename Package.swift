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

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let coreMetrics = product(name: "CoreMetrics", package: "swift-metrics")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let hummingbirdCore = product(name: "HummingbirdCore", package: "hummingbird")
    static let logging = product(name: "Logging", package: "swift-log")
    static let metrics = product(name: "Metrics", package: "swift-metrics")
    static let nioConcurrencyHelpers = product(name: "NIOConcurrencyHelpers", package: "swift-nio")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
}

let package = Package(
    name: "apus",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Apus", targets: ["Apus"]),
        .executable(name: "apus", targets: ["ApusCLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.20.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        room("ApusErrors"),
        room("ApusTensor"),
        room("ApusJSON", ["ApusErrors"]),
        room("ApusExecution", ["ApusErrors", "ApusTensor"]),
        room("ApusPlacement", ["ApusErrors", "ApusJSON", "ApusTensor"]),
        .target(name: "CNVML"),
        room("ApusDevices", ["ApusErrors", "ApusJSON", "ApusTensor", "ApusExecution", "CApusProcess", "CNVML", .metrics, .nioConcurrencyHelpers]),
        room("ApusSimulation", ["ApusErrors", "ApusTensor", "ApusExecution", "ApusDevices"]),
        .target(name: "COnnxRuntime"),
        room("ApusORT", ["ApusErrors", "ApusTensor", "CApusOps", "COnnxRuntime", .logging]),
        room("ApusRuntime", ["ApusErrors", "ApusTensor", "ApusExecution", "ApusORT", "CApusCollectives", "CApusProcess"]),
        .target(name: "CApusKernels", linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
        .target(name: "CApusCollectives"),
        .target(name: "CApusOps", dependencies: ["COnnxRuntime", "CApusKernels", "CApusCollectives"]),
        .target(name: "CApusProcess"),
        room(
            "ApusParallel",
            ["ApusErrors", "ApusTensor", "ApusExecution", "CApusCollectives", "CApusProcess", .nioConcurrencyHelpers]),
        room("ApusWorkers", ["ApusErrors", "ApusTensor", "ApusJSON", "ApusExecution", "CApusProcess"]),
        room("ApusCheckpoint", ["ApusErrors", "ApusJSON", "ApusTensor", "CApusKernels", .crypto]),
        room("ApusGraph", ["ApusErrors", "ApusTensor", "ApusCheckpoint", "ApusExecution", "CApusKernels"]),
        room(
            "ApusWorkerHost",
            ["ApusErrors", "ApusTensor", "ApusExecution", "ApusGraph", "ApusParallel", "ApusRuntime", "ApusWorkers", "CApusProcess"]),
        .target(name: "CApusUnicode"),
        room("ApusTokenizers", ["ApusErrors", "ApusJSON", "CApusUnicode"]),
        room(
            "ApusVectors",
            ["ApusErrors", "ApusTensor", "ApusExecution", "CApusKernels", .crypto, .nioConcurrencyHelpers]),
        room(
            "ApusStores",
            [
                "ApusErrors", "ApusJSON", "ApusTensor", "ApusExecution", "ApusVectors", "CApusKernels", "CApusProcess", .crypto, .grdb, .logging,
                .metrics, .nioConcurrencyHelpers, .nioCore, .nioPosix,
            ]),
        room("ApusBatching", ["ApusErrors", .product(name: "HeapModule", package: "swift-collections")]),
        room(
            "ApusScheduling",
            ["ApusErrors", "ApusTensor", "ApusExecution", "ApusBatching", .metrics, .nioConcurrencyHelpers]),
        room(
            "ApusEmbeddings",
            [
                "ApusErrors", "ApusTensor", "ApusCheckpoint", "ApusExecution", "ApusGraph", "ApusTokenizers", "ApusScheduling",
                "ApusVectors",
            ]),
        room(
            "Apus",
            [
                "ApusErrors", "ApusJSON", "ApusTensor", "ApusCheckpoint", "ApusExecution", "ApusGraph", "ApusTokenizers", "ApusBatching",
                "ApusDevices", "ApusEmbeddings", "ApusFleet", "ApusORT", "ApusParallel", "ApusPlacement", "ApusRuntime", "ApusScheduling", "ApusSimulation", "ApusStores", "ApusVectors",
                "ApusWorkers", "CApusKernels",
                .crypto, .logging,
                .nioConcurrencyHelpers,
            ]),
        room(
            "ApusFleet",
            ["ApusErrors", "ApusTensor", "ApusExecution", "ApusDevices", "ApusPlacement", .logging, .metrics, .nioConcurrencyHelpers]),
        room("ApusService", ["ApusErrors", "ApusJSON", "ApusStores", "ApusTensor", "ApusVectors", .crypto, .metrics, .nioConcurrencyHelpers]),
        room(
            "ApusHTTP",
            [
                "ApusErrors", "ApusExecution", "ApusJSON", "ApusService", "ApusStores", "ApusVectors", .hummingbirdCore, .logging, .nioCore, .nioHTTP1, .nioPosix,
                .serviceLifecycle, .unixSignals,
            ]),
        room(
            "ApusConfiguration",
            [
                "ApusErrors", "ApusPlacement", "ApusTensor", .product(name: "TOMLKit", package: "TOMLKit"), .product(name: "Yams", package: "Yams"),
            ]),
        room("ApusObservability", ["ApusErrors", "ApusJSON", .coreMetrics, .logging, .metrics]),
        .executableTarget(
            name: "ApusCLI",
            dependencies: [
                "Apus", "ApusErrors", "ApusTensor", "ApusJSON", "ApusCheckpoint", "ApusExecution", "ApusBatching", "ApusDevices",
                "ApusEmbeddings", "ApusFleet", "ApusPlacement", "ApusScheduling", "ApusSimulation", "ApusStores", "ApusVectors", "ApusWorkerHost",
                "ApusWorkers", "ApusService", "ApusHTTP", "ApusObservability", "ApusConfiguration", .argumentParser, .logging, .metrics,
                .nioConcurrencyHelpers, .nioCore, .nioHTTP1, .nioPosix,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "WorkerBenchmark",
            dependencies: [
                "ApusErrors", "ApusTensor", "ApusCheckpoint", "ApusExecution", "ApusGraph", "ApusRuntime", "ApusWorkers",
                "ApusWorkerHost",
            ],
            path: "Benchmarks/WorkerBenchmark", swiftSettings: settings),
        .executableTarget(
            name: "WorkerFixture",
            dependencies: ["ApusErrors", "ApusTensor", "ApusExecution", "ApusWorkers", "ApusWorkerHost", "CApusProcess"],
            path: "Tests/Fixtures/WorkerFixture", swiftSettings: settings),
        .executableTarget(
            name: "TokenizerBenchmark", dependencies: ["ApusErrors", "ApusTokenizers"], path: "Benchmarks/TokenizerBenchmark",
            swiftSettings: settings),
        .executableTarget(
            name: "EmbedBenchmark",
            dependencies: [
                "Apus", "ApusErrors", "ApusTensor", "ApusBatching", "ApusCheckpoint", "ApusEmbeddings", "ApusExecution", "ApusFleet", "ApusGraph",
                "ApusRuntime", "ApusTokenizers",
            ],
            path: "Benchmarks/EmbedBenchmark", swiftSettings: settings),
        .executableTarget(
            name: "VectorBenchmark", dependencies: ["ApusErrors", "ApusTensor", "ApusVectors"], path: "Benchmarks/VectorBenchmark",
            swiftSettings: settings),
        .executableTarget(
            name: "CollectionBenchmark", dependencies: ["ApusErrors", "ApusStores", "ApusVectors", .nioConcurrencyHelpers],
            path: "Benchmarks/CollectionBenchmark", swiftSettings: settings),
        .executableTarget(
            name: "SegmentBenchmark",
            dependencies: ["ApusErrors", "ApusTensor", "ApusCheckpoint", "ApusExecution", "ApusGraph", "ApusRuntime"],
            path: "Benchmarks/SegmentBenchmark", swiftSettings: settings),
        .executableTarget(
            name: "ParallelBenchmark",
            dependencies: [
                "ApusErrors", "ApusTensor", "ApusBatching", "ApusCheckpoint", "ApusExecution", "ApusGraph", "ApusParallel", "ApusRuntime",
                "ApusScheduling", "ApusTokenizers",
            ],
            path: "Benchmarks/ParallelBenchmark", swiftSettings: settings),
        .executableTarget(name: "KernelBenchmark", dependencies: ["CApusKernels"], path: "Benchmarks/KernelBenchmark"),
        .executableTarget(name: "SumBenchmark", dependencies: ["CApusCollectives"], path: "Benchmarks/SumBenchmark"),
        tests("CApusCollectives", ["CApusCollectives"]),
        tests("CApusKernels", ["CApusKernels"]),
        tests("ApusVectors", ["ApusErrors", "ApusTensor", "ApusVectors", "CApusKernels", .nioConcurrencyHelpers]),
        tests(
            "ApusStores",
            [
                "ApusErrors", "ApusJSON", "ApusTensor", "ApusStores", "ApusVectors", .grdb, .logging, .nioConcurrencyHelpers, .nioCore, .nioPosix,
            ]),
        tests("ApusBatching", ["ApusBatching", "ApusErrors"]),
        tests(
            "ApusScheduling",
            ["ApusErrors", "ApusTensor", "ApusBatching", "ApusExecution", "ApusScheduling", .nioConcurrencyHelpers]),
        tests(
            "ApusEmbeddings",
            [
                "ApusErrors", "ApusTensor", "ApusBatching", "ApusCheckpoint", "ApusEmbeddings", "ApusExecution", "ApusGraph", "ApusScheduling",
                "ApusTokenizers", "ApusVectors", .nioConcurrencyHelpers,
            ]),
        tests("Apus", ["Apus", "ApusErrors", "ApusTensor", "ApusBatching", "ApusExecution", "ApusDevices", "ApusFleet", "ApusSimulation"]),
        tests("ApusCheckpoint", ["ApusErrors", "ApusJSON", "ApusTensor", "ApusCheckpoint"]),
        tests("ApusConfiguration", ["ApusErrors", "ApusPlacement", "ApusTensor", "ApusConfiguration"]),
        .executableTarget(
            name: "MonitorProgram", dependencies: ["ApusDevices"], path: "Tests/Fixtures/MonitorProgram", swiftSettings: settings),
        tests("ApusDevices", ["ApusErrors", "ApusJSON", "ApusTensor", "ApusExecution", "ApusDevices", "ApusObservability", "MonitorProgram"]),
        tests("ApusExecution", ["ApusTensor", "ApusExecution"]),
        tests("ApusGraph", ["ApusErrors", "ApusTensor", "ApusCheckpoint", "ApusExecution", "ApusGraph"]),
        tests(
            "ApusFleet",
            [
                "ApusErrors", "ApusTensor", "ApusBatching", "ApusDevices", "ApusExecution", "ApusFleet", "ApusObservability", "ApusPlacement",
                "ApusScheduling", .logging, .metrics, .nioConcurrencyHelpers,
            ]),
        tests(
            "ApusHTTP",
            [
                "ApusErrors", "ApusExecution", "ApusJSON", "ApusService", "ApusStores", "ApusVectors", "ApusHTTP", .logging, .metrics, .nioCore, .nioPosix,
                .serviceLifecycle,
            ]),
        tests("ApusJSON", ["ApusErrors", "ApusJSON"]),
        tests("ApusPlacement", ["ApusErrors", "ApusJSON", "ApusTensor", "ApusPlacement"]),
        tests("ApusObservability", ["ApusErrors", "ApusObservability", .coreMetrics, .logging]),
        tests(
            "ApusParallel",
            [
                "ApusErrors", "ApusTensor", "ApusBatching", "ApusExecution", "ApusParallel", "ApusScheduling", "ApusSimulation",
                "CApusCollectives", .nioConcurrencyHelpers,
            ]),
        tests("ApusService", ["ApusErrors", "ApusJSON", "ApusService", "ApusStores", "ApusTensor", "ApusVectors", .coreMetrics, .product(name: "MetricsTestKit", package: "swift-metrics")]),
        tests("ApusSimulation", ["ApusErrors", "ApusTensor", "ApusExecution", "ApusDevices", "ApusSimulation"]),
        tests("ApusTokenizers", ["ApusErrors", "ApusJSON", "ApusTokenizers"], resources: [.copy("Resources")]),
        tests(
            "ApusWorkers",
            [
                "ApusErrors", "ApusTensor", "ApusJSON", "ApusExecution", "ApusWorkers", "ApusWorkerHost", "CApusProcess", "WorkerFixture",
            ]),
        .testTarget(
            name: "WorkerTests",
            dependencies: [
                "ApusErrors", "ApusTensor", "ApusJSON", "ApusCheckpoint", "ApusExecution", "ApusGraph", "ApusRuntime", "ApusWorkers",
                "WorkerFixture",
            ],
            path: "IntegrationTests/WorkerTests", swiftSettings: settings),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Apus", "ApusErrors", "ApusTensor", "ApusJSON", "ApusCheckpoint", "ApusExecution", "ApusGraph", "ApusORT", "ApusParallel",
                "ApusRuntime", "ApusSimulation", "CApusCollectives", "CApusKernels",
            ],
            path: "IntegrationTests/EngineTests", swiftSettings: settings),
    ]
)
