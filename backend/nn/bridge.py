"""VQBridge: the training-only network that FVQ sends its whole table through (arXiv 2509.10140, section 3).

1. Compress: the K codes lie on a square, side by side; a convolution makes one token of every p x p of them.
2. Process: transformer blocks without positions mix all tokens, so that a gradient on one code moves all codes.
3. Recover: a linear layer turns each token back into p x p codes. Nothing passes the bridge by.

The last layer starts at zero, so that every code does: training pulls them apart from there.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from backend.errors import UsageError

HEADS = 4


def codes_a_token(codes: int) -> int:
    """Choose p of a table of K codes: 2 to K = 1,024, 4 to 16,384, beyond as few as leave 4,096 tokens or fewer.

    A code is what its place in a token makes of the token, and many places take long to come to life: of the 64 places of
    p = 8 at K = 102,400, 36 to 11 never did in 1,000 steps. Where the side cannot be cut so, a smaller p divides it.

    Raises:
        UsageError: K is not a perfect square.
    """
    side = math.isqrt(codes)
    if side * side != codes or codes < 4:
        near = round(math.sqrt(max(codes, 4)))
        raise UsageError(
            f"FVQ lays its codes on a square, and {codes} is not a square number. Give for example {near * near}."
        )
    best = (2,) if codes <= 1024 else (4,) if codes <= 16_384 else tuple(p for p in range(4, 17) if side <= 64 * p)
    return next(p for p in (*best, 4, 2, 1) if side % p == 0)


class VQBridge(nn.Module):
    """Codes to codes, all of them at once."""

    def __init__(self, codes: int, dim: int, patch: int, hidden: int = 64, depth: int = 2, zero: bool = True) -> None:
        """Start with random weights, the last layer at zero.

        Args:
            codes: K, the square of a multiple of `patch`.
            dim: length of a code.
            patch: p, codes along one side of a token.
            hidden: width of a token, a multiple of 4.
            depth: blocks.
            zero: start the last layer at zero, as released.
        """
        super().__init__()
        self.side, self.patch, self.dim = math.isqrt(codes), patch, dim
        self.compress = nn.Conv2d(dim, hidden, patch, stride=patch)
        self.blocks = nn.Sequential(*[_Block(hidden) for _ in range(depth)])
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False, eps=1e-6)
        self.recover = nn.Linear(hidden, patch * patch * dim)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight.flatten(1) if layer is self.compress else layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if zero:
            nn.init.zeros_(self.recover.weight)

    def forward(self, codes: Tensor) -> Tensor:
        """Send all codes through the bridge, float `[K, dim]` -> float `[K, dim]`."""
        side, p, rows = self.side, self.patch, self.side // self.patch
        square = codes.T.reshape(1, self.dim, side, side)
        tokens = self.compress(square).flatten(2).transpose(1, 2)  # [1, token, hidden]
        patches = self.recover(self.norm(self.blocks(tokens)))  # [1, token, p * p * dim]
        # a token's codes go back to where they lay on the square
        return patches.view(rows, rows, p, p, self.dim).permute(0, 2, 1, 3, 4).reshape(-1, self.dim)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(approximate="tanh"), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        x = x + self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, width))
        return x + self.feed(self.norm2(x))
