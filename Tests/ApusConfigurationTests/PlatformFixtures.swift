/// The configuration files of a platform that Apus can take the place of, to the letter.
enum PlatformFixtures {
    static let yaml = """
        gpu:
          enabled: true
          device_preference: ["cuda", "mps", "cpu"]

          multi_gpu:
            enabled: false
            device_ids: [0, 1, 2, 3]
            strategy: "data_parallel"

          memory:
            mixed_precision: true
            precision: "fp16"
            dtype: "auto"
            offload_to_cpu: false
            quantization:
              enabled: false
              bits: 8

          batch:
            batch_size: 8
            max_batch_size: 32
            dynamic_batching: true

          async:
            num_streams: 4

          cuda:
            benchmark: true
            allow_tf32: true

          monitoring:
            log_memory_stats: true
            memory_check_interval: 60

        model_assignments:
          ethics_critic: 0
          fairness_critic: 1
          safety_critic: 2
          precedent_retrieval: 3

        ollama:
          gpu_layers: -1
          num_gpu: 1
          use_mmap: true

        optimization:
          vllm:
            enabled: true
            tensor_parallel_size: 2
          deepspeed:
            enabled: true
            tensor_parallel: 2
            pipeline_parallel: 2
        """

    static let toml = """
        [gpu]
        enabled = true
        device_id = 0
        memory_limit_mb = 2048
        fallback_enabled = true
        performance_monitoring = true

        [gpu.optimization]
        use_tensorrt = true
        graph_optimization = "all"
        precision = "fp16"

        [gpu.batch]
        default_size = 32
        max_size = 128
        timeout_ms = 100
        adaptive_sizing = true
        """

    static let environment = [
        "ONNX_GPU_DEVICE_ID": "0",
        "ONNX_GPU_MEM_LIMIT": "2048",
        "ONNX_EXECUTION_MODE": "parallel",
        "ONNX_GRAPH_OPTIMIZATION": "all",
        "MAGRAY_BATCH_SIZE": "32",
        "MAGRAY_BATCH_TIMEOUT_MS": "100",
        "MAGRAY_USE_TENSORRT": "true",
        "MAGRAY_GPU_FALLBACK_THRESHOLD": "0.8",
        "MUAI_OPT_VLLM_TENSOR_PARALLEL": "2",
        "MUAI_OPT_DEEPSPEED_TENSOR_PARALLEL": "2",
        "MUAI_OPT_DEEPSPEED_PIPELINE_PARALLEL": "2",
        "OLLAMA_GPU_LAYERS": "-1",
        "OLLAMA_NUM_GPU": "1",
        "CUDA_VISIBLE_DEVICES": "0,1,2,3",
    ]
}
