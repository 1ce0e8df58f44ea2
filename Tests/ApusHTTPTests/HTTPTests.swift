import Testing

/// All tests over sockets, one at a time: several set short timeouts on their server, and should not meet them because another test keeps
/// the machine busy.
@Suite("HTTP", .serialized)
enum HTTPTests {}
