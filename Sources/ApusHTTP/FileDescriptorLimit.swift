#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// How many files and sockets this process may hold open.
enum FileDescriptorLimit {
    /// The most connections that fit beside `reserved` other descriptors, after the limit was raised as far as the system lets a process raise
    /// it. Accepting more would make `accept` fail, and with that end the server.
    static func connections(wanted: Int, reserved: Int) -> Int {
        #if canImport(Glibc)
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
        let resource = RLIMIT_NOFILE
        #endif
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return wanted }
        let needed = rlim_t(wanted + reserved)
        if limit.rlim_cur < needed {
            var raised = limit
            raised.rlim_cur = min(needed, limit.rlim_max)
            if setrlimit(resource, &raised) == 0 { limit = raised }
        }
        guard limit.rlim_cur < needed else { return wanted }
        // Where descriptors are scarce, clients and everything else share them.
        return max(1, Int(limit.rlim_cur) - min(reserved, Int(limit.rlim_cur) / 2))
    }
}
