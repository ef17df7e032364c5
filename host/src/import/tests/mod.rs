//! The importer on files that PyTorch wrote, on files put together by hand, and on hostile ones.
//! That logits equal PyTorch's is tested in `tests/tests/import.rs`.

mod assemble;
mod containers;
mod damaged;
mod hostile;
mod layouts;
mod pickles;
mod random;
mod tensors;
