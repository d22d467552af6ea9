"""Why the tools that accounting.py compares differ from the truth, as read in their sources.

The page shows a cause only where it made a difference, and compares what it amounts to with that difference.
"""

# Letter, tool, what it does, where in its source. "Its own" are files of the tool's package.
CAUSES = (
    ("a", "torchinfo", "A multiply-add for each bias and output.", "`LayerInfo.calculate_macs`: weight and bias alike"),
    (
        "a",
        "ptflops",
        "The same. Backend aten only where torch adds the bias inside the product (`addmm`), not for a `Linear` whose "
        "input lies in memory in another order.",
        "`conv_flops_counter_hook`, `linear_flops_counter_hook`; `aten_ops.py`: `conv_flop_count`, `addmm_flop`",
    ),
    (
        "b",
        "torchinfo",
        "All parameters times output positions if the class's name contains Conv, times 1 if not: too many for a "
        "transposed convolution, whose input positions count; one position for `Linear`; 2 a channel for BatchNorm. "
        "`MyConv2d` is right by its name.",
        '`LayerInfo.calculate_macs`: `if "Conv" in self.class_name`',
    ),
    (
        "c",
        "torchinfo",
        "Sees only layers that are called as modules, and only parameters whose names contain weight or bias: no "
        "functions, no attention (its own layer is no leaf, the layer in it is not called).",
        "`apply_hooks`; `ModelStatistics.__init__`: `is_leaf_layer`",
    ),
    (
        "c",
        "ptflops",
        "Sees only modules of known classes; `F.conv2d` is not watched, `F.linear` is commented out.",
        "`is_supported_instance`: `type(module) in MODULES_MAPPING`; `patch_functional`",
    ),
    (
        "d",
        "fvcore",
        "Counts besides 2 for each value of BatchNorm, 4 (bilinear) or 1 (nearest) for each that is enlarged, 1 for "
        'each that is pooled adaptively. `set_op_handle("aten::batch_norm", None)`, which its own comment advises, '
        "changes nothing: what has a formula is counted before it is looked up among the ignored. `by_operator()` "
        "gives the products alone; that is the second column.",
        "`flop_count.py`: `_DEFAULT_SUPPORTED_OPS`; `JitModelAnalysis._analyze`",
    ),
    (
        "e",
        "ptflops",
        "Counts besides BatchNorm (2 a value), ReLU, pooling, enlarging, attention's scaling and softmax, an LSTM's "
        "gates. ReLU, pooling, enlarging and attention's products count twice, for the module and for the function "
        "that it calls (`nn.ReLU` and `F.relu`, `MultiheadAttention` and `torch.bmm`). Backend aten does none of it.",
        "`MODULES_MAPPING` beside `patch_functional` and `patch_tensor_ops`",
    ),
    (
        "f",
        "ptflops",
        "Replaces `torch.matmul` and `Tensor.matmul`; `a @ b` is `Tensor.__matmul__` and passes by. No `einsum`.",
        "`patch_tensor_ops`",
    ),
    (
        "f",
        "calflops",
        "The same for `a @ b`; `bmm` is commented out, `einsum` has operations but 0 multiply-adds.",
        "`_patch_tensor_methods`; `_einsum_flops_compute`: `return flop, 0`",
    ),
    (
        "g",
        "fvcore",
        "No formula for `scaled_dot_product_attention` and `lstm`, of which it warns; the one for `matmul` expects two "
        "matrices: `IndexError` for a vector.",
        "`_DEFAULT_SUPPORTED_OPS`; `matmul_flop_jit`: `input_shapes[1][-2]`",
    ),
    (
        "g",
        "ptflops",
        "No formula for `scaled_dot_product_attention`; backend aten for the kernels below, as FlopCounterMode.",
        "`FUNCTIONAL_MAPPING`; `ATEN_OPS_MAPPING`",
    ),
    (
        "g",
        "calflops",
        "No formula for `scaled_dot_product_attention`; an LSTM has operations but no multiply-adds.",
        "`_patch_functionals`; `_rnn_forward_hook` adds to `__flops__` alone",
    ),
    (
        "g",
        "FlopCounterMode",
        "No formula, and so 0 without a word, for kernels that torch takes on a CPU: "
        "`_scaled_dot_product_flash_attention_for_cpu`, `_native_multi_head_attention` (without gradients), "
        "`mkldnn_rnn_layer`, `mv`. On the meta device torch takes others, which it knows; `mv` it does not know there.",
        "`torch/utils/flop_counter.py`: `flop_registry`",
    ),
    (
        "g",
        "pixelwise",
        "No rule, and so 0; its notes name the function, and `checked` says what torch's counter finds.",
        "`accounting/rules.py`: `RULES`",
    ),
    (
        "h",
        "calflops",
        "Divides a transposed convolution's filters by its groups, though the weight's shape already has those of one "
        "group.",
        "`_conv_trans_flops_compute`: `filters_per_channel = out_channels // groups`",
    ),
    (
        "i",
        "calflops",
        "A network without parameters: `StopIteration`.",
        "`calculate_flops`: `next(model.parameters())` outside of its `try`",
    ),
    (
        "j",
        "torchinfo",
        "Knows a module again that was there before, not a weight: what two modules share is counted twice.",
        "`LayerInfo.check_recursive`; `ModelStatistics.__init__`",
    ),
    (
        "k",
        "ptflops",
        "Parameters are those that are trained.",
        "`get_model_parameters_number`: `if p.requires_grad`",
    ),
    ("k", "calflops", 'The same; it prints "Total Training Params".', "`reset_flops_calculate`: `if p.requires_grad`"),
    (
        "m",
        "pixelwise",
        "Walks at twice the size too, which a network for one size alone refuses: `BadSetting`.",
        "`accounting/account.py`: `account`, `times=2`",
    ),
    (
        "p",
        "torchinfo",
        "Bytes of all layers that have parameters, BatchNorm's outputs too.",
        "`ModelStatistics.__init__`: `if layer_info.num_params > 0`",
    ),
)
