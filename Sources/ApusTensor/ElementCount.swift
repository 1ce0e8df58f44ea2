/// Checked size arithmetic for shapes that come from files and requests.
package enum ElementCount {
    /// The product of `shape`, or nil when a dimension is negative or the product overflows `Int`. A scalar (`[]`) counts 1.
    package static func of(_ shape: [Int]) -> Int? {
        var count = 1
        for dimension in shape {
            guard dimension >= 0 else { return nil }
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard !overflow else { return nil }
            count = product
        }
        return count
    }

    /// The bytes that `shape` takes in `elementType`, or nil when the shape is invalid or the product overflows `Int`.
    package static func bytes(of shape: [Int], _ elementType: ElementType) -> Int? {
        guard let count = of(shape) else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: elementType.byteCount)
        return overflow ? nil : bytes
    }
}
