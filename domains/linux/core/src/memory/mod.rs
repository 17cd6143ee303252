//! The guest's page tables, and what the kernel is asked to show because of them.
