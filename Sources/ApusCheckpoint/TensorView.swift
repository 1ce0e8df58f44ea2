package import ApusTensor

/// One tensor of a checkpoint, where it lies in a mapped file.
package struct TensorView: @unchecked Sendable {
    // Unchecked because of `bytes`, a pointer into memory that is never written and that `owner` keeps.

    /// Unique among the tensors of a checkpoint. Encoder tensors have the name that their family gives them, without a prefix such
    /// as `bert.`; the tensors of a module are preceded by the module's folder, `2_Dense/linear.weight`.
    package let name: String
    package let elementType: ElementType
    package let shape: [Int]
    /// Row-major elements, little-endian; valid as long as ``owner`` lives. Not necessarily aligned to the element's size.
    package let bytes: UnsafeRawBufferPointer
    package let owner: MappedFile

    func renamed(_ name: String) -> TensorView {
        TensorView(name: name, elementType: elementType, shape: shape, bytes: bytes, owner: owner)
    }
}
