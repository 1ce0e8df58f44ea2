import ApusDevices
import ApusErrors
import Testing

@Suite struct RecoveryPolicyTests {
    private func refusal(_ make: () throws(ApusError) -> RecoveryPolicy) -> ApusError? {
        do {
            _ = try make()
            return nil
        } catch {
            return error
        }
    }

    @Test func theStandardPolicyIsValid() throws {
        #expect(try RecoveryPolicy() == .standard)
    }

    @Test func countsBelowTheirLeastAreRefused() {
        var ladder = RecoveryPolicy.Ladder()
        ladder.retryLimit = -1
        #expect(refusal { () throws(ApusError) in try RecoveryPolicy(ladder: ladder) }?.message.contains("-1") == true)
        var probes = RecoveryPolicy.Probes()
        probes.rightAnswers = 0
        #expect(refusal { () throws(ApusError) in try RecoveryPolicy(probes: probes) }?.code == .invalidValue)
    }

    @Test func limitsThatContradictEachOtherAreRefused() {
        var ladder = RecoveryPolicy.Ladder()
        ladder.retryLimit = 7
        #expect(refusal { () throws(ApusError) in try RecoveryPolicy(ladder: ladder) }?.code == .invalidValue)
        var restarts = RecoveryPolicy.Restarts()
        restarts.backoffStart = .seconds(31)
        #expect(refusal { () throws(ApusError) in try RecoveryPolicy(restarts: restarts) }?.message.contains("restart back-off") == true)
    }

    @Test(arguments: [Duration.zero, .seconds(-1), .microseconds(10), .seconds(366 * 86_400)])
    func impossibleTimesAreRefused(time: Duration) {
        var caution = RecoveryPolicy.Caution()
        caution.shrinkTime = time
        #expect(refusal { () throws(ApusError) in try RecoveryPolicy(caution: caution) }?.code == .invalidValue)
    }

    @Test(arguments: [0, -0.5, 1.01, Double.nan, .infinity])
    func sharesOutsideTheirRangeAreRefused(share: Double) {
        var caution = RecoveryPolicy.Caution()
        caution.suspectWeight = share
        #expect(refusal { () throws(ApusError) in try RecoveryPolicy(caution: caution) }?.code == .invalidValue)
    }
}
