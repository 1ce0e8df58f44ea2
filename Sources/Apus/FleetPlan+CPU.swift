import ApusDevices
import ApusErrors
import ApusExecution
package import ApusFleet
import ApusTensor

extension FleetPlan {
    /// One CPU device with a lane for each core that this process may use.
    package static func wholeCPU(engineLibrary: String, lanes: Int? = nil) throws(ApusError) -> FleetPlan {
        let topology = CPUTopology.current
        let device = DeviceID(.cpu, 0)
        return try FleetPlan([
            Member(
                ExecutorSettings(device: device, lanes: lanes ?? topology.available, engineLibrary: engineLibrary),
                info: GPUInfo(device: device, name: topology.modelName ?? "CPU"))
        ])
    }
}
