/// Where Apus keeps what clients store in it.
extension ConfigurationSchema {
    static let data: [ConfigurationKey] = [
        .text("data_dir", "APUS_DATA", does: "The folder with collections, or the address of a PostgreSQL that servers share, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; without it `apus` in the XDG data folder") { $0.dataDirectory = $1 }
    ]
}
