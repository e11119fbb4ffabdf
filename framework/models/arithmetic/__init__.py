"""How networks compute: fixed blocks, exact arithmetic, bfloat16, and faster forms of single layers."""
