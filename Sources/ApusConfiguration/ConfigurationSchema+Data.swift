/// Where Apus keeps what clients store in it.
extension ConfigurationSchema {
    static let data: [ConfigurationKey] = [
        .text("data_dir", "APUS_DATA", does: "The folder with collections, or the address of a PostgreSQL that servers share, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; without it `apus` in the XDG data folder") { $0.dataDirectory = $1 },
        .number(
            "collections.compact_at", 0...1, "APUS_COLLECTIONS_COMPACT_AT",
            does: "The share of deleted and replaced documents in all at which a collection in files is compacted by itself, beside searches and writes; 0.5 without it, 0 for never"
        ) { $0.collections.compactAt = $1 },
        .integer(
            "collections.compact_min", 1...1 << 31, "APUS_COLLECTIONS_COMPACT_MIN", does: "How many of them there have to be for that; 1000 without it"
        ) { $0.collections.compactMinimum = $1 },
        .text(
            "collections.libpq", "APUS_LIBPQ", does: "The file of PostgreSQL's client library; without it the system's `libpq.so.5`"
        ) { $0.collections.libpq = $1 },
    ]
}
