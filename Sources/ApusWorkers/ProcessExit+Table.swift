import Foundation

extension ProcessExit {
    /// How a process ends that is on its way out but cannot be reaped yet; nil when it is not, or when the system does not tell.
    ///
    /// Drivers may take their time over a process's descriptors after its sockets have closed. Whether it was killed from outside is known
    /// before that: proc(5), `/proc/PID/stat`, `flags` with `PF_EXITING` and `exit_code`.
    package static func announced(by pid: Int32) -> ProcessExit? {
        #if os(Linux)
            guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                // The name before it may hold anything.
                let behindName = text.utf8.lastIndex(of: UInt8(ascii: ")"))
            else { return nil }
            return announced(fields: text.utf8[behindName...].dropFirst().split(separator: UInt8(ascii: " ")).map { Substring($0) })
        #else
            return nil
        #endif
    }

    /// - Parameter fields: of `/proc/PID/stat`, from the third on.
    package static func announced(fields: [Substring]) -> ProcessExit? {
        let (flagsField, codeField, exiting) = (9 - 3, 52 - 3, UInt64(4))
        guard fields.count > codeField, let flags = UInt64(fields[flagsField]), flags & exiting != 0,
            let code = Int32(fields[codeField].prefix { $0.isNumber })
        else { return nil }
        let signal = code & 0x7F
        return signal == 0 ? .status((code >> 8) & 0xFF) : .signal(signal)
    }
}
