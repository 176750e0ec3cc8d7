"""Any causal language model in a local folder of the transformers library, without codebooks.

Names of older releases of transformers in the weights are turned into today's by the library itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from backend.errors import CheckpointError
from backend.formats.checkpoints import Imported, read_config, read_weights


def read(path: Path, base: Path | None) -> Imported:
    """Read a folder written by `save_pretrained`.

    Args:
        path: the folder: `config.json` and `model.safetensors` (or `pytorch_model.bin`), whole or in parts.
        base: folder or file of the configuration, where `path` has none.

    Raises:
        CheckpointError: something is missing, cut off or unsafe, or weights and configuration do not fit.
    """
    config = read_config(base or path)
    weights, warnings = read_weights(path)
    try:
        with torch.device("meta"):  # only its class is wanted
            kind: Any = type(AutoModelForCausalLM.from_config(config, trust_remote_code=False))
        disable_progress_bar()  # of its own, on stderr
        model, report = kind.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
        )
    except (ValueError, RuntimeError, LookupError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be loaded as a causal language model ({type(error).__name__}: {str(error)[:300]}). Check its "
            "config.json."
        ) from error
    missing, wrong = sorted(report["missing_keys"]), sorted(report["mismatched_keys"])
    if missing or wrong:
        raise CheckpointError(
            f"{path} does not fit its configuration. Missing: {', '.join(missing[:5]) or 'none'}. "
            f"Wrong shape: {', '.join(str(key) for key in wrong[:5]) or 'none'}."
        )
    unknown = sorted(report["unexpected_keys"])
    said = [
        *warnings,
        *([f"Left out weights that the model does not use: {', '.join(unknown[:5])}."] if unknown else []),
    ]
    return Imported(config, (), {f"model.{name}": tensor for name, tensor in model.state_dict().items()}, tuple(said))
