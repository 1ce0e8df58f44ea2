// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "NearestText",
    platforms: [.macOS(.v15)],
    dependencies: [
        // In a package of your own: .package(url: "https://…/apus", from: "0.1.0")
        .package(name: "apus", path: "../..")
    ],
    targets: [
        .executableTarget(name: "NearestText", dependencies: [.product(name: "Apus", package: "apus")])
    ]
)
