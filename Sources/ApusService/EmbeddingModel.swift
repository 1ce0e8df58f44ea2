package import ApusErrors

/// The seam between the front door and the engine room: one loaded model that turns texts into vectors.
///
/// The service hands over what a client asked for, already checked against every limit that needs no tokenizer, and gets
/// back vectors with an account of how they were made. Implementations throw `ApusError`:
/// `.contextLengthExceeded` (place `input`) for an over-long input under ``EmbeddingOptions/Truncation/refuse``,
/// `.invalidToken` (place `input`) for an id outside the vocabulary, `.overloaded` for a full queue, `.deadlineExceeded` when
/// ``EmbeddingOptions/deadline`` passes first, and the engine's own codes for failures. When the surrounding task is cancelled
/// they give up waiting and throw `CancellationError` or `.cancelled`.
package protocol EmbeddingModel: Sendable {
    var description: ModelDescription { get }

    /// ``ModelDescription/task`` of ``description``, for those who ask for nothing else: it is asked of every request.
    var task: ModelDescription.Task { get }

    /// Throws what ``embed(_:options:)`` would throw for want of room if it were asked now for the shortest input, and does nothing else.
    func requireRoom(_ options: EmbeddingOptions) throws(ApusError)

    /// Embeds `inputs` (never empty) and answers in their order, one row for each. Under ``EmbeddingOptions/partial`` what ails one input
    /// alone is told in ``EmbeddingBatch/failures``, and only what stops all of them is thrown.
    ///
    /// The rows of models for reranking and classifying are logits, one for each of ``ModelDescription/labels``.
    func embed(_ inputs: [EmbeddingInput], options: EmbeddingOptions) async throws -> EmbeddingBatch

    /// The scores of one row of logits, in the order of the labels; of models that give vectors, the row.
    func scores(of logits: ArraySlice<Float>) -> [Float]
}

extension EmbeddingModel {
    package var task: ModelDescription.Task { description.task }

    /// There is room.
    package func requireRoom(_ options: EmbeddingOptions) throws(ApusError) {}

    package func scores(of logits: ArraySlice<Float>) -> [Float] { Array(logits) }
}

/// One thing to embed.
package enum EmbeddingInput: Sendable, Equatable {
    /// Text still to be tokenised.
    case text(String)
    /// Two texts that the model reads together.
    case pair(String, String)
    /// Token ids as they are to be run, special tokens included. Each is 0 or more and below the model's vocabulary size.
    case tokens([Int32])
}
