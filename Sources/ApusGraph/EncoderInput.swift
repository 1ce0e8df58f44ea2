import ApusExecution
import ApusTensor

/// The inputs that encoder graphs know. A graph declares those it uses; ``EncoderBatch`` fills any of them.
///
/// Symbols: T tokens of the batch without padding, B sequences, S tokens of the longest sequence.
enum EncoderInput: String, CaseIterable {
    /// Token ids, `[1, T]`.
    case inputIDs = "input_ids"
    /// Position of each token in its sequence plus the family's offset, `[1, T]`.
    case positionIDs = "position_ids"
    /// Segment of each token, `[1, T]`.
    case tokenTypeIDs = "token_type_ids"
    /// Row of each token in the packed order, `[B, S]`; padding repeats the first token of its sequence.
    case rowIndex = "row_index"
    /// Place of each packed row in the padded `[B·S]` order, `[T]`.
    case tokenIndex = "token_index"
    /// Tokens of each sequence less one, `[B]`.
    case lastPosition = "last_position"
    /// Tokens of the longest sequence, a scalar.
    case longest = "longest"
    /// 0 for tokens and a large negative number for padding, `[B, 1, 1, S]`.
    case scoreMask = "score_mask"
    /// Relative position buckets of MPNet, `[S, S]`.
    case positionBuckets = "position_buckets"
    /// Row of the first token of each sequence in the packed order, and the number of all rows, `[B + 1]`.
    case starts
    /// Row of the first token of each sequence, `[B]`.
    case firstRow = "first_row"
    /// Row of the last token of each sequence, `[B]`.
    case lastRow = "last_row"
    /// Share of each token in a mean: 1/n, and 0 for padding, `[B, S, 1]`.
    case meanWeights = "mean_weights"
    /// 1/√n for each token and 0 for padding, `[B, S, 1]`.
    case squareRootWeights = "square_root_weights"
    /// Position-weighted mean: i / (1 + … + n) for token i = 1 … n and 0 for padding, `[B, S, 1]`.
    case positionWeights = "position_weights"

    var elementType: ElementType {
        switch self {
        case .scoreMask, .meanWeights, .squareRootWeights, .positionWeights: .float32
        default: .int32
        }
    }

    var shape: [ValueDescription.Dimension] {
        let sequences = ValueDescription.Dimension.symbolic("B")
        let width = ValueDescription.Dimension.symbolic("S")
        let tokens = ValueDescription.Dimension.symbolic("T")
        return switch self {
        case .inputIDs, .positionIDs, .tokenTypeIDs: [.fixed(1), tokens]
        case .rowIndex: [sequences, width]
        case .tokenIndex: [tokens]
        case .lastPosition, .firstRow, .lastRow: [sequences]
        case .starts: [.symbolic("B1")]
        case .longest: []
        case .scoreMask: [sequences, .fixed(1), .fixed(1), width]
        case .positionBuckets: [width, width]
        case .meanWeights, .squareRootWeights, .positionWeights: [sequences, width, .fixed(1)]
        }
    }
}
