/// Tells ordinary steps, which may be made to fail, from known answers, which are computed beside the lanes and never are.
enum StepOrigin {
    @TaskLocal static var isLane = false
}
