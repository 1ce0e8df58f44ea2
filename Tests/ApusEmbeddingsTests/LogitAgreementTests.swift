import ApusEmbeddings
import Testing

struct LogitAgreementTests {
    @Test func `the same logits agree, and errors count beside the spread`() {
        // The variance of these is 4.
        let agreement = LogitAgreement([[-2], [2], [-2], [2]])
        #expect(agreement.of(0, [-2]) == 1)
        // An error of a tenth of the spread: 1 - 0.01 / 2.
        #expect(abs((agreement.of(1, [2.2]) ?? 0) - 0.995) < 1e-6)
        #expect(abs((agreement.of(1, [1.8]) ?? 0) - 0.995) < 1e-6)
        #expect(agreement.of(3, [1000]) == -1)
    }

    @Test func `what all logits have in common makes no error smaller`() {
        let (near, far) = (LogitAgreement([[-1, 0], [1, 0]]), LogitAgreement([[99, 500], [101, 500]]))
        #expect(abs((near.of(0, [-0.9, 0]) ?? 0) - (far.of(0, [99.1, 500]) ?? 0)) < 1e-5)
        #expect((near.of(0, [-0.9, 0]) ?? 1) < 0.996)
    }

    @Test func `logits that are all the same forgive rounding and nothing else`() {
        let agreement = LogitAgreement([[8], [8], [8]])
        #expect((agreement.of(0, [8.000001]) ?? 0) > 0.9999)
        #expect((agreement.of(0, [8.1]) ?? 1) < 0)
        #expect(LogitAgreement([[0], [0]]).of(0, [0]) == 1)
    }

    @Test func `rows that cannot be compared have no agreement`() {
        let agreement = LogitAgreement([[1, 2], [3, 4]])
        #expect(agreement.of(0, [.nan, 2]) == nil)
        #expect(agreement.of(0, [1]) == nil)
        #expect(agreement.of(2, [1, 2]) == nil)
        #expect(LogitAgreement([]).of(0, []) == nil)
    }
}
