package import ApusErrors
package import ApusTensor

extension ApusError.Code {
    /// A model does not fit on a device beside what is admitted there.
    package static let insufficientMemory = Self(rawValue: "insufficient_memory")
}

/// Who was promised how many bytes of each device, so that models which are loaded later never take what others count on (DEV-4).
package struct MemoryLedger: Sendable, Equatable {
    /// What memory is for, in the order of reports.
    package enum Purpose: String, Sendable, CaseIterable {
        case weights
        case arena = "working memory"
        case kv = "KV cache"
        case cache = "vector cache"
        case context
    }

    package struct Entry: Sendable, Equatable {
        package var model: String
        package var purpose: Purpose
        /// 0 or more.
        package var bytes: Int

        package init(_ model: String, _ purpose: Purpose, bytes: Int) {
            self.model = model
            self.purpose = purpose
            self.bytes = max(0, bytes)
        }
    }

    package struct Account: Sendable, Equatable {
        /// Bytes of the device.
        package let total: Int
        /// Bytes that Apus may take of them.
        package let limit: Int
        /// Bytes that stay free whatever is asked for: for the driver, and for what no estimate foresees.
        package let reserve: Int
        package fileprivate(set) var entries: [Entry] = []

        /// Bytes promised. Cannot overflow, because no entry is admitted beyond ``capacity``.
        package var taken: Int { entries.reduce(0) { $0 + $1.bytes } }
        /// Bytes that can be promised in all.
        package var capacity: Int { max(0, limit - reserve) }
        package var free: Int { capacity - taken }

        fileprivate init(total: Int, limit: Int, reserve: Int) {
            self.total = total
            self.limit = limit
            self.reserve = reserve
        }
    }

    package private(set) var accounts: [DeviceID: Account] = [:]

    package init() {}

    /// Opens an account without entries, or an existing one's again with other figures: what is promised stays promised, even beyond a smaller
    /// limit, but nothing more is admitted then.
    ///
    /// - Parameters:
    ///   - total: bytes of the device.
    ///   - limit: bytes that Apus may take; nil for all.
    ///   - reserve: bytes that stay free.
    package mutating func open(_ device: DeviceID, total: Int, limit: Int? = nil, reserve: Int = 0) {
        let total = max(0, total)
        var account = Account(total: total, limit: min(total, max(0, limit ?? total)), reserve: max(0, reserve))
        account.entries = accounts[device]?.entries ?? []
        accounts[device] = account
    }

    /// Forgets a device and all promises on it.
    package mutating func close(_ device: DeviceID) {
        accounts[device] = nil
    }

    /// Promises memory for a model, all of it or nothing.
    ///
    /// Throws `insufficient_memory` with the arithmetic, and `invalid_value` for a device without an account.
    package mutating func admit(_ model: String, _ needs: [Purpose: Int], on device: DeviceID) throws(ApusError) {
        guard var account = accounts[device] else {
            throw ApusError(.invalidValue, "\(device) has no memory account", place: model)
        }
        let entries = Purpose.allCases.compactMap { purpose in
            needs[purpose].flatMap { $0 > 0 ? Entry(model, purpose, bytes: $0) : nil }
        }
        var needed = 0
        for entry in entries {
            let (sum, overflow) = needed.addingReportingOverflow(entry.bytes)
            needed = overflow ? .max : sum
        }
        guard needed <= account.free else {
            throw ApusError(
                .insufficientMemory, Self.refusal(model, entries, needed, account, device), place: model,
                advice: "Unload a model, lower max_batch_size or the precision, or assign it to another device")
        }
        account.entries += entries
        accounts[device] = account
    }

    /// Takes all promises to a model on a device back.
    package mutating func release(_ model: String, on device: DeviceID) {
        accounts[device]?.entries.removeAll { $0.model.utf8.elementsEqual(model.utf8) }
    }

    /// `model X needs 1,840 MiB on cuda:0: weights 1,200 + working memory 512 + context 128; 1,530 MiB are free of 16,384 (14,854 taken by Y)`.
    private static func refusal(_ model: String, _ needs: [Entry], _ needed: Int, _ account: Account, _ device: DeviceID) -> String {
        let parts = needs.map { "\($0.purpose.rawValue) \(mebibytes($0.bytes))" }.joined(separator: " + ")
        var takers: [(model: String, bytes: Int)] = []
        for entry in account.entries {
            if let place = takers.firstIndex(where: { $0.model.utf8.elementsEqual(entry.model.utf8) }) {
                takers[place].bytes += entry.bytes
            } else {
                takers.append((entry.model, entry.bytes))
            }
        }
        var uses = takers.map { "\(mebibytes($0.bytes)) taken by \($0.model)" }
        if account.reserve > 0 { uses.append("\(mebibytes(account.reserve)) kept free") }
        if account.limit < account.total { uses.append("limit \(mebibytes(account.limit))") }
        let why = uses.isEmpty ? "" : " (\(uses.joined(separator: ", ")))"
        return "model \(model) needs \(mebibytes(needed)) MiB on \(device): \(parts); "
            + "\(mebibytes(max(0, account.free), rounding: .down)) MiB are free of \(mebibytes(account.total, rounding: .down))\(why)"
    }

    private enum Rounding {
        case up
        case down
    }

    /// What is needed is rounded up and what is there down, so that the figures never show a model fitting that does not.
    private static func mebibytes(_ bytes: Int, rounding: Rounding = .up) -> String {
        let (whole, rest) = bytes.quotientAndRemainder(dividingBy: 1 << 20)
        let digits = Array(String(rounding == .up && rest > 0 ? whole + 1 : whole))
        return digits.enumerated().map { place, digit in
            place > 0 && (digits.count - place).isMultiple(of: 3) ? ",\(digit)" : "\(digit)"
        }.joined()
    }
}
