import ApusExecution
import ApusTensor
import ApusWorkers
import CApusProcess
import Foundation

/// What a broken worker may write on the channel of its first lane instead of an answer.
enum Scribble: Int, CaseIterable {
    case noise
    case halfAHeader
    case nothingAndClosed
    case anotherSequence
    case anotherKind
    case outsideTheRegion
    case moreThanTheLimit
    case shapeThatOverflows
    case shapeAndBytesDisagree
    case anotherType
    case bytesBehindThePayload
    case failureThatIsNoJSON

    /// The first lane's socket, as the worker got it: 3 is the control channel, 4 and 5 the loader's.
    private static let socket: Int32 = 6

    /// - Parameter sequence: of the request that this answers.
    func write(_ sequence: Int) -> Never {
        let right = UInt64(sequence)
        switch self {
        case .noise: Self.send((0..<64).map { UInt8(truncatingIfNeeded: $0 &* 37) })
        case .halfAHeader: Self.send([0x41, 0x50, 0x55, 0x57, 69]); shutdown(Self.socket, Int32(SHUT_RDWR))
        case .nothingAndClosed: shutdown(Self.socket, Int32(SHUT_RDWR))
        case .anotherSequence: Self.send(Self.frame(.result, right &+ 1, Self.placement(1, [4], 0, 16)))
        case .anotherKind: Self.send(Self.frame(.loaded, right, []))
        case .outsideTheRegion: Self.send(Self.frame(.result, right, Self.placement(1, [4], 1 << 20, 16)))
        case .moreThanTheLimit: Self.send(Self.frame(.result, right, Self.placement(1, [1 << 40], 0, 1 << 42)))
        case .shapeThatOverflows: Self.send(Self.frame(.result, right, Self.placement(1, [1 << 40, 1 << 40], 0, 16)))
        case .shapeAndBytesDisagree: Self.send(Self.frame(.result, right, Self.placement(1, [4], 0, 32)))
        case .anotherType: Self.send(Self.frame(.result, right, Self.placement(7, [4], 0, 32)))
        case .bytesBehindThePayload: Self.send(Self.frame(.result, right, Self.placement(1, [4], 0, 16) + [0]))
        case .failureThatIsNoJSON: Self.send(Self.frame(.failure, right, Array("oops".utf8)))
        }
        while true { pause() }
    }

    /// Spelled here once more and not by the codec, which cannot write most of these.
    private static func placement(_ type: UInt8, _ shape: [UInt64], _ offset: UInt64, _ byteCount: UInt64) -> [UInt8] {
        var bytes: [UInt8] = [type, UInt8(shape.count)]
        for number in [offset, byteCount] + shape { bytes.append(littleEndian: number) }
        return bytes
    }

    private static func frame(_ kind: Frame.Kind, _ sequence: UInt64, _ payload: [UInt8]) -> [UInt8] {
        (try? Frame(kind, sequence: sequence, payload: payload).encoded()) ?? []
    }

    private static func send(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { buffer in buffer.baseAddress.map { apus_socket_send(socket, $0, buffer.count, 1) } }
    }
}
