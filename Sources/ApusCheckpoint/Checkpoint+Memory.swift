extension Checkpoint {
    /// Gives the pages of the mapped weights back that were touched while the network was made: the engine has packed those it
    /// computes with, and the embedding rows that texts need return as they are used.
    package func releaseMappedPages() {
        if case .encoder(_, let weights) = source {
            for file in weights.files { file.releasePages() }
        }
        for case .dense(let dense) in modules { dense.weight.owner.releasePages() }
    }
}
