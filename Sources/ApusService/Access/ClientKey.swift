/// The key a request came with, as the rooms behind the door know it: for fair shares and limits, never for letting anyone in.
package struct ClientKey: Sendable, Hashable {
    /// 1 or more, and unique among the configured keys. Who comes without a key has none; 0 is free to stand for them.
    package let number: Int
    package let name: String
    /// Seconds of estimated work of this key that may wait at once; nil for no limit of its own.
    package let queueSeconds: Double?

    package init(number: Int, name: String, queueSeconds: Double? = nil) {
        self.number = number
        self.name = name
        self.queueSeconds = queueSeconds
    }
}
