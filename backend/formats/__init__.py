"""Safe readers of what other programs write: tensors, configurations, addresses on the hub. They know no family."""

TENSOR_FILES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")  # endings of files that hold weights
