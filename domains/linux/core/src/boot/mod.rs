//! What lies in the guest's memory before its first instruction.
