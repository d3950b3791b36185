//! The machine-level native tests: what needs root and namespaces of its own, and leaves the machine as it was.
