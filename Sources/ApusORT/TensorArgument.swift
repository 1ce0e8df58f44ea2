package import ApusTensor

/// A tensor handed to a run by address. The memory must stay valid and unchanged until the run returns.
package struct TensorArgument {
    package var elementType: ElementType
    package var shape: [Int]
    package var data: UnsafeRawPointer
    package var byteCount: Int

    package init(_ elementType: ElementType, _ shape: [Int], data: UnsafeRawPointer, byteCount: Int) {
        self.elementType = elementType
        self.shape = shape
        self.data = data
        self.byteCount = byteCount
    }
}
