import ApusErrors
import ApusExecution
import ApusWorkers
import Testing

/// Slices of networks as they cross.
@Suite struct SliceMessageTests {
    @Test func everySliceCrosses() throws {
        let slices = [
            NetworkSlice.whole(layerCount: 12), try NetworkSlice(layers: 3..<5, layerCount: 6),
            try NetworkSlice(layers: 0..<6, layerCount: 6, rank: 3, ranks: 4, group: "a \"group\" é"),
        ]
        for slice in slices {
            let order = LoadOrder(7, LoadRequest(name: "n", source: .checkpoint(directory: "/m", .network(.fusedFP32, slice))))
            #expect(try Frame(.load, sequence: 0, payload: order.encoded()).document(LoadOrder.init(reading:)) == order)
            #expect(Mirror(reflecting: slice).children.count == 5)
        }
    }

    @Test(arguments: [
        (#"{"first_layer":2,"end_layer":1,"layer_count":6,"rank":0,"ranks":1,"group":""}"#),
        (#"{"first_layer":0,"end_layer":7,"layer_count":6,"rank":0,"ranks":1,"group":""}"#),
        (#"{"first_layer":0,"end_layer":1,"layer_count":6,"rank":1,"ranks":1,"group":""}"#),
        (#"{"first_layer":0,"end_layer":1,"layer_count":6,"rank":0,"group":""}"#), ("7"), ("[]"),
    ])
    func whatIsNoSliceIsRefused(slice: String) {
        let request = #"{"name":"n","optimization":"all","checkpoint":"/m","style":"fused","precision":"fp32","slice":\#(slice)}"#
        #expect(throws: ApusError.self) {
            try Frame(.load, sequence: 0, payload: Array(#"{"number":1,"request":\#(request)}"#.utf8)).document(LoadOrder.init(reading:))
        }
    }
}
