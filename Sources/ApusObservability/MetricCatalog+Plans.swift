/// The families that tell how devices share models. Emitted by ApusFleet's `PlanMetrics`, where a plan was asked for.
extension MetricCatalog {
    static let plans: [MetricDescriptor] = [
        .init(
            "apus_plan_info", .gauge, by: ["plan", "wished", "strategy"],
            "1 for the plan in force; its labels are the plan ([[0,1],[2,3]], empty while none is possible), the plan that was asked for, and what is parallel about it."
        ),
        .init("apus_plan_degraded", .gauge, "1 while the plan in force is not the one that was asked for, else 0."),
        .init("apus_plan_replicas", .gauge, by: ["state"], "Replicas that serve (serving), and that are wanted now (wanted)."),
        .init(
            "apus_plan_unit", .gauge, by: ["unit", "state"],
            "1 for the state of devices that hold a model together: serving, starting, preparing (made ready beside what serves), 0 for its other states."
        ),
        .init(
            "apus_plan_steps_total", .counter, by: ["step", "cause"],
            "Changes of what serves, by step (dissolved, reallocated, reduced, one_device, shrunk, cpu, nobody, restored, scaled_up, scaled_down) and cause."
        ),
        .init(
            "apus_plan_bubble_ratio", .gauge, by: ["device"],
            "Share of the time of a group's stages in which they had nothing to compute although steps were under way, by the group's first device, 0 to 1."
        ),
        .init(
            "apus_plan_stage_occupancy_ratio", .gauge, by: ["device", "stage"],
            "Share of the time with steps under way in which a stage computed, by the group's first device and the stage's number, 0 to 1."
        ),
    ]
}
