"""Kernels without a compiler: their code as it stands, see `kernels.interpreted`."""
