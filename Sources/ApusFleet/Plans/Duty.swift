import ApusTensor

/// What a device is there for at the moment.
enum Duty: Sendable, Equatable {
    /// It holds whole models.
    case alone
    /// It is the first of a group, which goes by its name.
    case leads(Formation)
    /// It is one of the group of that device.
    case belongs(to: DeviceID)
    /// A worker without models is to show that the device works.
    case looks
    /// It is not needed.
    case rests

    var formation: Formation? {
        if case .leads(let formation) = self { formation } else { nil }
    }

    var isGroup: Bool { formation != nil }

    /// Whether a unit goes by the device's name.
    var isUnit: Bool {
        switch self {
        case .alone, .leads: true
        case .belongs, .looks, .rests: false
        }
    }

    /// Whether it serves, or may come to serve without a new plan.
    var mayServe: Bool { isUnit || self == .looks }

    /// Whether models are loaded onto its workers.
    var hasModels: Bool { self != .looks }
}
