"""Any causal language model in a local folder of the transformers library, without codebooks.

Names of older releases of transformers in the weights are turned into today's by the library itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers.utils.logging import disable_progress_bar

from backend.errors import CheckpointError
from backend.families.transformer.formats.imported import Imported
from backend.formats.checkpoints import read_config, read_json, read_weights


def read(path: Path, base: Path | None) -> Imported:
    """Read a folder written by `save_pretrained`.

    Args:
        path: the folder: `config.json` and `model.safetensors` (or `pytorch_model.bin`), whole or in parts.
        base: folder or file of the configuration, where `path` has none.

    Raises:
        CheckpointError: something is missing, cut off or unsafe, or weights and configuration do not fit.
    """
    config = read_config(base or path)
    if int(getattr(config.get_text_config(), "num_hidden_layers", 1)) < 1:
        raise _impossible(config, base or path, ValueError("it has no layers"))
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
    except MemoryError:
        raise
    except Exception as error:  # of any kind: each model makes something else of an impossible value
        raise _impossible(config, base or path, error) from error
    missing, wrong = sorted(report["missing_keys"]), sorted(report["mismatched_keys"])
    if missing or wrong:
        raise CheckpointError(
            f"{path} does not fit its configuration. Missing: {', '.join(missing[:5]) or 'none'}. "
            f"Wrong shape: {', '.join(str(key) for key in wrong[:5]) or 'none'}."
        )
    try:
        with torch.no_grad():
            model.eval()(torch.zeros((1, 2), dtype=torch.int64), use_cache=False)
    except Exception as error:  # some values only show when the model reads
        raise _impossible(config, base or path, error) from error
    unknown = sorted(report["unexpected_keys"])
    notes = [
        *warnings,
        *([f"Left out weights that the model does not use: {', '.join(unknown[:5])}."] if unknown else []),
    ]
    return Imported(config, (), {f"model.{name}": tensor for name, tensor in model.state_dict().items()}, tuple(notes))


def _impossible(config: PretrainedConfig, source: Path, error: Exception) -> CheckpointError:
    """Say why no model can be made of a configuration, or none that reads."""
    file = source / "config.json" if source.is_dir() else source
    written = read_json(file)
    inner = [
        (f"{name}.{key}", v) for name, part in written.items() if isinstance(part, dict) for key, v in part.items()
    ]
    numbers = [(name, v) for name, v in [*written.items(), *inner] if isinstance(v, int | float)]
    below = [f"{name} = {v}" for name, v in numbers if v < 0 and not name.endswith("_token_id")]
    suspected = f" (below zero: {', '.join(below[:5])})" if below else ""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return CheckpointError(
        f"{file} (model_type {config.model_type!r}) holds a value with which there is no such model{suspected}. "
        f"The library says: {reason}. Compare it with the config.json that the model was published with."
    )
