import ApusDevices
import ApusErrors
import ApusTensor
import Testing

@Suite struct MemoryLedgerTests {
    private let mebibyte = 1 << 20
    private let device = DeviceID(.cuda, 0)

    private func ledger(total: Int = 16_384, limit: Int? = nil, reserve: Int = 0) -> MemoryLedger {
        var ledger = MemoryLedger()
        ledger.open(device, total: total * mebibyte, limit: limit.map { $0 * mebibyte }, reserve: reserve * mebibyte)
        return ledger
    }

    @Test func aRefusalShowsItsArithmetic() throws {
        var ledger = ledger()
        try ledger.admit("Y", [.weights: 14_000 * mebibyte, .context: 854 * mebibyte], on: device)
        let error = #expect(throws: ApusError.self) {
            try ledger.admit("X", [.weights: 1_200 * mebibyte, .arena: 512 * mebibyte, .context: 128 * mebibyte], on: device)
        }
        #expect(error?.code == .insufficientMemory && error?.code.rawValue == "insufficient_memory")
        #expect(
            error?.message
                == "model X needs 1,840 MiB on cuda:0: weights 1,200 + working memory 512 + context 128; 1,530 MiB are free of 16,384 (14,854 taken by Y)")
        #expect(ledger.accounts[device]?.free == 1_530 * mebibyte)
        try ledger.admit("X", [.weights: 1_530 * mebibyte], on: device)
        #expect(ledger.accounts[device]?.free == 0)
    }

    @Test func limitAndReserveAreNamed() {
        var ledger = ledger(limit: 1_000, reserve: 200)
        let error = #expect(throws: ApusError.self) { try ledger.admit("X", [.weights: 801 * mebibyte], on: device) }
        #expect(
            error?.message
                == "model X needs 801 MiB on cuda:0: weights 801; 800 MiB are free of 16,384 (200 kept free, limit 1,000)")
    }

    @Test func oneByteTooManyIsRefusedAndNeverRoundedAway() {
        var ledger = MemoryLedger()
        ledger.open(device, total: 10 * mebibyte)
        let error = #expect(throws: ApusError.self) { try ledger.admit("X", [.weights: 10 * mebibyte + 1], on: device) }
        #expect(error?.message.contains("needs 11 MiB") == true && error?.message.contains("10 MiB are free") == true)
    }

    @Test func aModelThatLeavesGivesEverythingBack() throws {
        var ledger = ledger()
        try ledger.admit("a", [.weights: 5, .kv: 6], on: device)
        try ledger.admit("b", [.cache: 7], on: device)
        ledger.release("a", on: device)
        #expect(ledger.accounts[device]?.entries == [.init("b", .cache, bytes: 7)])
        ledger.close(device)
        #expect(throws: ApusError.self) { try ledger.admit("a", [.weights: 1], on: device) }
    }

    @Test func aSmallerLimitTakesNothingAwayAndAdmitsNothing() throws {
        var ledger = ledger()
        try ledger.admit("a", [.weights: 2_000 * mebibyte], on: device)
        ledger.open(device, total: 16_384 * mebibyte, limit: 1_000 * mebibyte)
        #expect(ledger.accounts[device]?.taken == 2_000 * mebibyte)
        #expect(throws: ApusError.self) { try ledger.admit("b", [.weights: 1], on: device) }
    }

    @Test func sumsThatNoWordHoldsAreRefused() {
        var ledger = MemoryLedger()
        ledger.open(device, total: .max)
        #expect(throws: ApusError.self) { try ledger.admit("X", [.weights: .max, .arena: 1], on: DeviceID(.cuda, 1)) }
        let error = #expect(throws: ApusError.self) {
            ledger.open(device, total: .max - 1)
            try ledger.admit("X", [.weights: .max - 1, .arena: .max], on: device)
        }
        #expect(error?.code == .insufficientMemory)
    }

    @Test func theLedgerNeverOverCommitsWhateverHappens() {
        var random = SeededGenerator(seed: 77)
        for _ in 0..<500 {
            var ledger = MemoryLedger()
            let devices = (0..<3).map { DeviceID(.cuda, $0) }
            for device in devices {
                ledger.open(
                    device, total: .random(in: 0...1_000, using: &random),
                    limit: Bool.random(using: &random) ? .random(in: 0...1_200, using: &random) : nil, reserve: .random(in: 0...300, using: &random))
            }
            for _ in 0..<60 {
                let device = devices.randomElement(using: &random) ?? devices[0]
                let model = "m\(Int.random(in: 0..<5, using: &random))"
                let before = ledger
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    ledger.release(model, on: device)
                    #expect((ledger.accounts[device]?.free ?? 0) >= (before.accounts[device]?.free ?? 0))
                default:
                    var needs: [MemoryLedger.Purpose: Int] = [:]
                    for purpose in MemoryLedger.Purpose.allCases where Bool.random(using: &random) {
                        needs[purpose] = Int.random(in: -5...120, using: &random)
                    }
                    let needed = needs.values.reduce(0) { $0 + max(0, $1) }
                    let free = before.accounts[device]?.free ?? 0
                    let isAdmitted = (try? ledger.admit(model, needs, on: device)) != nil
                    #expect(isAdmitted == (needed <= free))
                    #expect((ledger.accounts[device]?.free ?? 0) == (isAdmitted ? free - needed : free))
                    if !isAdmitted { #expect(ledger == before) }
                }
                for account in ledger.accounts.values {
                    #expect(account.taken <= account.capacity && account.capacity <= account.total)
                }
                for other in devices where other != device { #expect(ledger.accounts[other] == before.accounts[other]) }
            }
        }
    }
}
