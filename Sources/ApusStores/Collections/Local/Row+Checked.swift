import ApusErrors
import Foundation
import GRDB

// A damaged file may hold values of other types than were written; GRDB's own subscripts end the process over them.
extension Row {
    /// Throws `store_corrupt`.
    func integer(_ column: Int) throws(ApusError) -> Int64 {
        let value: DatabaseValue = self[column]
        guard case .int64(let number) = value.storage else { throw Self.damaged }
        return number
    }

    func bytes(_ column: Int) throws(ApusError) -> [UInt8] {
        guard let bytes = try optionalBytes(column) else { throw Self.damaged }
        return bytes
    }

    func optionalBytes(_ column: Int) throws(ApusError) -> [UInt8]? {
        let value: DatabaseValue = self[column]
        switch value.storage {
        case .blob(let data): return Array(data)
        case .null: return nil
        case .int64, .double, .string: throw Self.damaged
        }
    }

    /// For short names of ASCII.
    func name(_ column: Int) throws(ApusError) -> String {
        let value: DatabaseValue = self[column]
        guard case .string(let text) = value.storage else { throw Self.damaged }
        return text
    }

    static var damaged: ApusError {
        StoreFailure.corrupt("the file holds values that were not written so", CollectionDatabase.fileName)
    }
}
