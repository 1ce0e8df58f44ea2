import Apus
import ApusExecution
import Testing

@Suite struct PrecisionTurnsTests {
    private let forms = [NetworkForm.plainFP32, .fusedFP32]

    /// Measures until no more is asked for; `speed` says what a form has in its nth turn.
    private func measured(_ forms: [NetworkForm], _ speed: (NetworkForm, Int) -> Double) -> (turns: PrecisionTurns, order: [NetworkForm]) {
        var turns = PrecisionTurns(forms)
        var order: [NetworkForm] = []
        while let form = turns.next() {
            let number = order.count { $0 == form }
            order.append(form)
            let figure = speed(form, number)
            turns.measured(form, .init(cosine: 1 - 1e-6 * Double(number), shortTokensPerSecond: figure, longTokensPerSecond: figure))
        }
        return (turns, order)
    }

    @Test func aQuietMachineMeasuresForwardsAndBackwardsOnce() {
        let (turns, order) = measured(forms) { form, number in (form == forms[0] ? 100 : 200) - Double(number) }
        #expect(order == forms + forms.reversed())
        #expect(turns.areLasting)
        #expect(turns.candidates.map { $0.figures?.shortTokensPerSecond } == [100, 200])
        #expect(turns.candidates.map { $0.figures?.cosine } == [1 - 1e-6, 1 - 1e-6])
    }

    @Test func aDisturbedTurnIsMeasuredAgainAndTheBestCounts() {
        let (turns, order) = measured(forms) { form, number in form == forms[1] && number == 0 ? 50 : 200 }
        #expect(order.count == 8)
        #expect(turns.areLasting)
        #expect(turns.candidates.map { $0.figures?.longTokensPerSecond } == [200, 200])
    }

    @Test func whatNeverBecomesSteadyIsNotRemembered() {
        let (turns, order) = measured(forms) { _, number in 100 * Double(1 << number) }
        #expect(order.count == 2 * 2 * PrecisionTurns.mostRounds)
        #expect(!turns.areLasting)
        #expect(turns.candidates.count == 2)
    }

    @Test func aSingleFormIsMeasuredOnce() {
        let (turns, order) = measured([forms[1]]) { _, _ in 1 }
        #expect(order == [forms[1]])
        #expect(turns.areLasting)
    }

    @Test(arguments: [true, false]) func aFormThatFailsIsNotTriedAgain(mayPass: Bool) {
        var turns = PrecisionTurns(forms)
        var order: [NetworkForm] = []
        while let form = turns.next() {
            order.append(form)
            if form == forms[0] {
                turns.failed(form, "no memory", mayPass: mayPass)
            } else {
                turns.measured(form, .init(cosine: 1, shortTokensPerSecond: 5, longTokensPerSecond: 5))
            }
        }
        #expect(order == [forms[0], forms[1], forms[1]])
        #expect(turns.areLasting == !mayPass)
        #expect(turns.candidates.first == .init(forms[0], .failed("no memory")))
    }
}
