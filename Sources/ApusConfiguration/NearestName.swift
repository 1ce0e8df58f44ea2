/// Finds the name that someone probably meant.
enum NearestName {
    /// The candidate with the fewest edits from `name`, if they are at most a third of its length, and at least one is allowed.
    static func of(_ name: String, among candidates: some Sequence<String>) -> String? {
        let allowed = max(1, name.count / 3)
        return candidates
            .map { (distance: distance(name.lowercased(), $0), name: $0) }
            .filter { $0.distance <= allowed }
            .min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
    }

    /// Edits between two names: characters added, removed, replaced, or swapped with their neighbour (optimal string alignment).
    static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left)
        let right = Array(right)
        var before: [Int] = []
        var previous = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            for column in right.indices {
                var edits = min(previous[column] + (left[row] == right[column] ? 0 : 1), previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    edits = min(edits, before[column - 1] + 1)
                }
                current.append(edits)
            }
            before = previous
            previous = current
        }
        return previous[right.count]
    }
}
