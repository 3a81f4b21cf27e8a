//! Kernels: the loops over rows and columns that rules and attacks share.
